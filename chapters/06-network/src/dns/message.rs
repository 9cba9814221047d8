//! Messages of the domain name system (RFC 1035): a query is read, an answer is written.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// How long an answer may be kept, in seconds: names come and go with containers.
const TTL: u32 = 1;
/// The header of a message, in bytes.
const HEADER: usize = 12;
/// The largest answer that we offer to take or give by UDP, in bytes (RFC 9715: it is not fragmented).
const LARGEST: u16 = 1232;

/// What somebody asks.
#[derive(Debug, Clone)]
pub struct Question {
    /// The whole message, to be passed on.
    pub message: Vec<u8>,
    /// Its number, by which the asker knows the answer.
    pub id: u16,
    /// The name in lower case, without the last dot.
    pub name: String,
    /// The address that the name means, if it is asked to whom that belongs.
    pub address: Option<IpAddr>,
    /// What is asked of the name.
    pub kind: RecordType,
    /// The largest answer that the asker takes by UDP, in bytes.
    pub limit: usize,
    query: Query,
    recursion_desired: bool,
    edns: bool,
}

/// What a message turns out to be.
#[derive(Debug)]
pub enum Received {
    /// A question.
    Question(Box<Question>),
    /// Something to be refused, and how.
    Refuse(Vec<u8>),
    /// Nothing that could be answered.
    Garbage,
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has these addresses, or, for an address, these names; none of the kind that was asked for is an answer too.
    Found(Vec<RData>),
    /// There is no such name (`NXDOMAIN`).
    NoName,
    /// Nobody could be asked (`SERVFAIL`).
    Failed,
}

/// Reads a message of a client.
pub fn read(bytes: &[u8]) -> Received {
    if bytes.len() < HEADER || bytes[2] & 0x80 != 0 {
        return Received::Garbage; // an answer, or less than a header: to answer that could go on for ever
    }
    let id = u16::from_be_bytes([bytes[0], bytes[1]]);
    let refuse = |op_code, code| {
        let mut message = Message::error_msg(id, op_code, code);
        message.metadata.recursion_available = true;
        message.to_vec().map_or(Received::Garbage, Received::Refuse)
    };
    let op_code = OpCode::from_u8((bytes[2] >> 3) & 0xf);
    if op_code != OpCode::Query {
        return refuse(op_code, ResponseCode::NotImp);
    }
    let Ok(mut message) = Message::from_vec(bytes) else { return refuse(op_code, ResponseCode::FormErr) };
    let limit = usize::from(message.max_payload().min(LARGEST));
    let (Some(query), true) = (message.queries.pop(), message.queries.is_empty()) else {
        return refuse(op_code, ResponseCode::FormErr);
    };
    if query.query_class != DNSClass::IN {
        return refuse(op_code, ResponseCode::Refused);
    }
    let mut name = query.name.to_lowercase();
    name.set_fqdn(true);
    let address = name.parse_arpa_name().ok().filter(|net| net.prefix_len() == net.max_prefix_len());
    let labels: Vec<_> = name.iter().map(String::from_utf8_lossy).collect();
    let name = labels.join(".");
    Received::Question(Box::new(Question {
        message: bytes.to_vec(),
        id,
        name,
        address: address.map(|net| net.addr()),
        kind: query.query_type,
        limit,
        recursion_desired: message.metadata.recursion_desired,
        edns: message.edns.is_some(),
        query,
    }))
}

impl Question {
    /// The answer as a message, of at most `limit` bytes: a longer one is cut, and says so.
    pub fn answer(&self, answer: Answer, limit: usize) -> Vec<u8> {
        let mut message = Message::response(self.id, OpCode::Query);
        message.metadata.recursion_desired = self.recursion_desired;
        message.metadata.recursion_available = true;
        message.add_query(self.query.clone());
        if self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(LARGEST);
            message.set_edns(edns);
        }
        match answer {
            Answer::Found(records) => {
                let name = &self.query.name;
                message.add_answers(records.into_iter().map(|data| Record::from_rdata(name.clone(), TTL, data)));
            }
            Answer::NoName => message.metadata.response_code = ResponseCode::NXDomain,
            Answer::Failed => message.metadata.response_code = ResponseCode::ServFail,
        }
        let whole = message.to_vec().unwrap_or_default();
        if whole.len() <= limit { whole } else { message.truncate().to_vec().unwrap_or_default() }
    }

    /// An answer that says that it is too long for UDP.
    pub fn cut(&self) -> Vec<u8> {
        let mut message = Message::response(self.id, OpCode::Query);
        message.metadata.recursion_desired = self.recursion_desired;
        message.metadata.recursion_available = true;
        message.add_query(self.query.clone());
        message.truncate().to_vec().unwrap_or_default()
    }

    /// Of these addresses those of the kind that is asked for.
    pub fn addresses(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Vec<RData> {
        let fits = |record: &RData| self.kind == RecordType::ANY || self.kind == record.record_type();
        addresses.into_iter().map(record).filter(fits).collect()
    }

    /// These names, if it is asked to whom an address belongs.
    pub fn names(&self, names: impl IntoIterator<Item = String>) -> Vec<RData> {
        let wanted = matches!(self.kind, RecordType::PTR | RecordType::ANY);
        let names = names.into_iter().filter(|_| wanted).filter_map(|name| full_name(&name));
        names.map(|name| RData::PTR(PTR(name))).collect()
    }

    /// The question with another number, as it is passed on: whoever does not see it cannot guess the answer's.
    pub fn numbered(&self, id: u16) -> Vec<u8> {
        let mut message = self.message.clone();
        message[..2].copy_from_slice(&id.to_be_bytes());
        message
    }

    /// Is `reply` to the question, asked with the number `id`?
    pub fn is_answered_by(&self, reply: &[u8], id: u16) -> bool {
        let mut decoder = BinDecoder::new(reply);
        let Ok(header) = hickory_proto::op::Header::read(&mut decoder) else { return false };
        if header.metadata.id != id || header.metadata.message_type != MessageType::Response {
            return false;
        }
        // An error may come without the question.
        if header.counts.queries == 0 {
            return header.metadata.response_code != ResponseCode::NoError;
        }
        Query::read(&mut decoder).is_ok_and(|query| {
            query.query_type == self.query.query_type
                && query.query_class == self.query.query_class
                && query.name.to_lowercase() == self.query.name.to_lowercase()
        })
    }
}

/// Labels as they are: people give names that no host could have, such as `-`.
fn full_name(name: &str) -> Option<Name> {
    Name::from_labels(name.split('.').map(str::as_bytes)).ok()
}

fn record(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

/// Does the message say that it was cut?
pub fn is_truncated(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags & 2 != 0)
}

/// Could another server have a better answer (`SERVFAIL`, `NOTIMP`, `REFUSED`)?
pub fn is_refusal(message: &[u8]) -> bool {
    message.get(3).is_some_and(|flags| matches!(flags & 0xf, 2 | 4 | 5))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(name: &str, kind: RecordType) -> Question {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(full_name(name.trim_end_matches('.')).unwrap(), kind));
        match read(&message.to_vec().unwrap()) {
            Received::Question(question) => *question,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_question_and_its_answers() {
        let question = ask("Web.Blue.", RecordType::A);
        assert_eq!((question.name.as_str(), question.limit, question.address), ("web.blue", 512, None));
        let addresses: [IpAddr; 2] = ["10.9.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        let found = Answer::Found(question.addresses(addresses));
        let message = Message::from_vec(&question.answer(found, 512)).unwrap();
        assert_eq!((message.metadata.id, message.answers.len()), (7, 1));
        assert_eq!(message.answers[0].data, record(addresses[0]));
        assert_eq!(message.queries[0].name.to_ascii(), "Web.Blue.", "as it was written");
        let none = Message::from_vec(&question.answer(Answer::Found(Vec::new()), 512)).unwrap();
        assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
        let gone = Message::from_vec(&question.answer(Answer::NoName, 512)).unwrap();
        assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
    }

    #[test]
    fn an_address_turned_round() {
        let question = ask("2.0.9.10.in-addr.arpa.", RecordType::PTR);
        assert_eq!(question.address, Some("10.9.0.2".parse().unwrap()));
        assert_eq!(question.names(["web.blue".to_owned()]), [RData::PTR(PTR(Name::from_ascii("web.blue.").unwrap()))]);
        assert_eq!(ask("9.10.in-addr.arpa.", RecordType::PTR).address, None, "a part of one");
    }

    #[test]
    fn a_long_answer_is_cut() {
        let question = ask("many.", RecordType::A);
        let addresses = (0..200).map(|last| IpAddr::from([10, 9, 0, last]));
        let records = question.addresses(addresses);
        let cut = question.answer(Answer::Found(records.clone()), 512);
        assert!(cut.len() <= 512 && is_truncated(&cut));
        let whole = question.answer(Answer::Found(records), 65535);
        assert_eq!(Message::from_vec(&whole).unwrap().answers.len(), 200);
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let code = |bytes: &[u8]| match read(bytes) {
            Received::Refuse(reply) => Message::from_vec(&reply).unwrap().metadata.response_code,
            other => panic!("{other:?}"),
        };
        let mut update = Message::new(7, MessageType::Query, OpCode::Update);
        assert_eq!(code(&update.to_vec().unwrap()), ResponseCode::NotImp);
        update.metadata.op_code = OpCode::Query;
        assert_eq!(code(&update.to_vec().unwrap()), ResponseCode::FormErr, "no question");
        assert!(matches!(read(&[0; 11]), Received::Garbage));
        assert!(matches!(read(&ask("a.", RecordType::A).answer(Answer::NoName, 512)), Received::Garbage));
    }

    #[test]
    fn only_an_answer_to_the_question_counts() {
        let (question, other) = (ask("web.", RecordType::A), ask("Web.", RecordType::AAAA));
        let reply = question.answer(Answer::NoName, 512);
        assert!(question.is_answered_by(&reply, 7));
        assert!(!question.is_answered_by(&reply, 8), "another number");
        assert!(!question.is_answered_by(&question.message, 7), "a question");
        assert!(!question.is_answered_by(&other.answer(Answer::NoName, 512), 7), "another question");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Received::Question(question) = read(&bytes) {
                let reply = question.answer(Answer::NoName, question.limit);
                prop_assert!(question.is_answered_by(&reply, question.id));
            }
            prop_assert!(!ask("web.", RecordType::A).is_answered_by(&bytes, 7) || bytes.len() >= HEADER);
        }

        #[test]
        fn a_damaged_question_is_read_without_harm(at in 0usize..40, with in any::<u8>(), cut in 0usize..40) {
            let mut bytes = ask("some.long-name.test.", RecordType::A).message;
            let length = bytes.len();
            bytes[at % length] = with;
            bytes.truncate(length - cut.min(length));
            if let Received::Question(question) = read(&bytes) {
                prop_assert!(question.answer(Answer::Failed, 512).len() <= 512);
            }
        }

        #[test]
        fn names_survive(name in "[a-z0-9_-]{1,63}(\\.[a-z0-9_-]{1,63}){0,2}") {
            prop_assert_eq!(ask(&format!("{name}."), RecordType::A).name, name);
        }
    }
}
