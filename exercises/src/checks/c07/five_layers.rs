//! Real layers, packed and pulled into a store as the chapter's: blobs by their digest, trees by their chain id.

use std::collections::BTreeMap;

use crate::check::{Check, Failure, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 2] = [
    Check::new("what is fetched", |lab| compare(lab, &FETCHED)),
    Check::new("what is unpacked", |lab| compare(lab, &UNPACKED)),
];

/// A question, and what it teaches.
type Question = (&'static str, &'static str);

const FETCHED: [Question; 6] = [
    ("layer 1 is fetched", "A blob is known by its digest alone, not by the image or registry from where it came."),
    (
        "layer 2 is fetched",
        "Its files are known, but the registry has them in another blob: a diff id says nothing about how it was packed, \
         and what is asked for is the digest of the packed bytes.",
    ),
    ("layer 3 is fetched", "Nothing in the store has its digest."),
    ("layer 4 is fetched", "A blob is known by its digest alone, not by the image or registry from where it came."),
    ("layer 5 is fetched", "Layers 3 and 5 are one blob: when it has been fetched once, it is here."),
    ("packed layers in the store afterwards", "Count the different digests of all three images: one blob is one file."),
];

const UNPACKED: [Question; 6] = [
    ("layer 1 is unpacked", "Its chain id is its diff id, the lowest layer's of base:1: that is unpacked already."),
    (
        "layer 2 is unpacked",
        "A chain id is made of diff ids. Those up to here are the same as base:1's, however they were packed.",
    ),
    ("layer 3 is unpacked", "Nothing in the store has its chain id."),
    (
        "layer 4 is unpacked",
        "In tools:1 it is the lowest. Here it lies over other layers, so its chain id is another one.",
    ),
    ("layer 5 is unpacked", "It lies over other layers than layer 3 does, so its chain id is another one."),
    ("unpacked layers in the store afterwards", "Count the different chain ids of all three images."),
];

/// An engine of twenty lines. `pack FILE LEVEL` gives a blob's digest; `pull BLOB:DIFF-ID…` brings layers.
const PULL: &str = r#"
set -e
sum() { sha256sum | cut -c 1-64; }
pack() { gzip -n$2 < $1.tar > packed; to=$(sum < packed); mv packed registry/$to; echo $to:$(sum < $1.tar); }
pull() {
    chain=; number=0
    for layer; do
        number=$((number+1)) blob=${layer%:*} diff=${layer#*:} fetched=no unpacked=no
        if [ -z "$chain" ]; then chain=$diff; else chain=$(printf %s "sha256:$chain sha256:$diff" | sum); fi
        if ! [ -e store/blobs/$blob ]; then cp registry/$blob store/blobs/; fetched=yes; fi
        if ! [ -e store/layers/$chain ]; then
            gzip -dc < store/blobs/$blob > archive; test $(sum < archive) = $diff
            mkdir store/layers/$chain; tar -xf archive -C store/layers/$chain; unpacked=yes
        fi
        echo "layer $number is fetched = $fetched"; echo "layer $number is unpacked = $unpacked"
    done
}
mkdir -p registry store/blobs store/layers
for name in one two three four; do echo "$1 $name" > $name; tar -cf $name.tar $name; done
one=$(pack one 9) two=$(pack two 9) two_again=$(pack two 1) three=$(pack three 6) four=$(pack four 6)
pull $one $two > base; pull $four > tools
pull $one $two_again $three $four $three
echo "packed layers in the store afterwards = $(ls store/blobs | wc -l)"
echo "unpacked layers in the store afterwards = $(ls store/layers | wc -l)"
"#;

fn lines(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.rsplit_once(" = "));
    pairs.map(|(question, answer)| (question.to_owned(), answer.trim().to_owned())).collect()
}

fn compare(lab: &Lab, questions: &[Question]) -> Verdict {
    let answers = lines(&lab.run(&[])?.stdout);
    let answer = |question: &str| answers.get(question).map_or("?", String::as_str);
    // What the trial shows is told to those only who have made up their minds.
    if let Some((open, _)) = questions.iter().find(|(question, _)| matches!(answer(question), "?" | "")) {
        let what = "the answers";
        return Err(Failure::wrong(what, "one to each question", format_args!("none to `{open}`"))
            .note("Answer all of them first: `yes`, `no` or a number. Then you are told what a trial shows."));
    }
    let trial = lab.sh(PULL, &[&lab.nonce()])?;
    if trial.code != 0 {
        return Err(Failure::Machine(format!(
            "the trial ended with exit code {}: {}",
            trial.code,
            trial.stderr.trim()
        )));
    }
    let seen = lines(&trial.stdout);
    for (question, because) in questions {
        let (answer, truth) = (answer(question), &seen[*question]);
        if answer != truth {
            let (what, trial) = (format!("`{question}`"), format!("{truth}, as a trial with real layers shows"));
            return Err(Failure::wrong(what, trial, format_args!("your answer is {answer}")).note(because));
        }
    }
    Ok(())
}
