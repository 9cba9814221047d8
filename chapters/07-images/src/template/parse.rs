//! Tokens to a tree.

use super::lex::{Token, lex};

/// A part of a template.
#[derive(Debug, Clone)]
pub enum Node {
    /// Text as it stands.
    Text(String),
    /// A pipeline, whose value is printed.
    Print(Pipe),
    /// `$x := pipeline`, or `$x = pipeline`.
    Set { name: String, new: bool, pipe: Pipe },
    /// `{{if}}` and `{{with}}`; the latter makes the value the dot.
    If { pipe: Pipe, with: bool, variable: Option<String>, then: Vec<Node>, otherwise: Vec<Node> },
    /// `{{range}}`
    Range { pipe: Pipe, key: Option<String>, value: Option<String>, body: Vec<Node>, otherwise: Vec<Node> },
}

/// Commands; each one's value is the last argument of the next.
pub type Pipe = Vec<Command>;
/// An operand, or a function and its arguments.
pub type Command = Vec<Operand>;

/// A value to be had.
#[derive(Debug, Clone)]
pub struct Operand {
    /// Where it begins.
    pub base: Base,
    /// The fields behind it.
    pub fields: Vec<String>,
}

/// Where an operand begins.
#[derive(Debug, Clone)]
pub enum Base {
    Dot,
    Variable(String),
    Text(String),
    Number(f64),
    Bool(bool),
    Nil,
    Function(String),
    Pipe(Pipe),
}

/// How deep brackets and blocks may lie in each other: a template is text from outside.
const DEEPEST: usize = 100;

/// The tree of `text`.
pub fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, depth: 0 };
    let (nodes, end) = parser.block()?;
    match end {
        End::Text => Ok(nodes),
        End::Word => Err("unexpected {{end}}".to_owned()),
        End::Else => Err("unexpected {{else}}".to_owned()),
    }
}

/// What ended a block. After `Else` the parser stands behind the word, so that `else if` can be seen.
#[derive(PartialEq)]
enum End {
    Text,
    Word,
    Else,
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn skip(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token) -> Result<(), String> {
        if self.skip(token) { Ok(()) } else { Err(format!("unexpected {}", show(self.peek()))) }
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST { Err("the template is nested too deep".to_owned()) } else { Ok(()) }
    }

    fn block(&mut self) -> Result<(Vec<Node>, End), String> {
        let mut nodes = Vec::new();
        loop {
            match self.next() {
                None => return Ok((nodes, End::Text)),
                Some(Token::Text(text)) => nodes.push(Node::Text(text)),
                Some(_) => {
                    let word = match self.peek() {
                        Some(Token::Word(word)) => word.clone(),
                        _ => String::new(),
                    };
                    self.at += usize::from(is_keyword(&word));
                    match word.as_str() {
                        "end" => {
                            self.expect(&Token::Close)?;
                            return Ok((nodes, End::Word));
                        }
                        "else" => return Ok((nodes, End::Else)),
                        "if" | "with" => nodes.push(self.condition(word == "with")?),
                        "range" => nodes.push(self.range()?),
                        "template" | "define" | "block" => return Err("named templates are not supported".to_owned()),
                        "break" | "continue" => return Err(format!("{{{{{word}}}}} is not supported")),
                        _ => nodes.push(self.statement()?),
                    }
                }
            }
        }
    }

    /// `$x := pipeline` or a pipeline, up to `}}`.
    fn statement(&mut self) -> Result<Node, String> {
        let node = match self.assignment() {
            Some((name, new)) => Node::Set { name, new, pipe: self.pipe()? },
            None => Node::Print(self.pipe()?),
        };
        self.expect(&Token::Close)?;
        Ok(node)
    }

    fn assignment(&mut self) -> Option<(String, bool)> {
        let Some(Token::Variable(name)) = self.peek().cloned() else { return None };
        let new = match self.tokens.get(self.at + 1) {
            Some(Token::Sign(":=")) => true,
            Some(Token::Sign("=")) => false,
            _ => return None,
        };
        self.at += 2;
        Some((name, new))
    }

    fn condition(&mut self, with: bool) -> Result<Node, String> {
        self.deeper()?;
        let variable = self.assignment().map(|(name, _)| name);
        let pipe = self.pipe()?;
        self.expect(&Token::Close)?;
        let (then, end) = self.block()?;
        let otherwise = self.otherwise(end)?;
        self.depth -= 1;
        Ok(Node::If { pipe, with, variable, then, otherwise })
    }

    fn range(&mut self) -> Result<Node, String> {
        self.deeper()?;
        let (mut key, mut value) = (None, None);
        if let (Some(Token::Variable(first)), Some(Token::Sign(","))) =
            (self.peek().cloned(), self.tokens.get(self.at + 1))
        {
            self.at += 2;
            key = Some(first);
        }
        if let Some((name, _)) = self.assignment() {
            value = Some(name);
        }
        let pipe = self.pipe()?;
        self.expect(&Token::Close)?;
        let (body, end) = self.block()?;
        let otherwise = self.otherwise(end)?;
        self.depth -= 1;
        Ok(Node::Range { pipe, key, value, body, otherwise })
    }

    /// What stands behind `{{else}}`; `{{else if}}` is a condition of its own that shares the `{{end}}`.
    fn otherwise(&mut self, end: End) -> Result<Vec<Node>, String> {
        match end {
            End::Text => Err("unexpected EOF: {{end}} is missing".to_owned()),
            End::Word => Ok(Vec::new()),
            End::Else if self.skip(&Token::Word("if".to_owned())) => Ok(vec![self.condition(false)?]),
            End::Else if self.skip(&Token::Word("with".to_owned())) => Ok(vec![self.condition(true)?]),
            End::Else => {
                self.expect(&Token::Close)?;
                match self.block()? {
                    (nodes, End::Word) => Ok(nodes),
                    (_, End::Else) => Err("unexpected {{else}}".to_owned()),
                    (_, End::Text) => Err("unexpected EOF: {{end}} is missing".to_owned()),
                }
            }
        }
    }

    fn pipe(&mut self) -> Result<Pipe, String> {
        self.deeper()?;
        let mut commands = vec![self.command()?];
        while self.skip(&Token::Sign("|")) {
            commands.push(self.command()?);
        }
        self.depth -= 1;
        Ok(commands)
    }

    fn command(&mut self) -> Result<Command, String> {
        let mut operands = Vec::new();
        while let Some(operand) = self.operand()? {
            operands.push(operand);
        }
        if operands.is_empty() { Err("missing value for command".to_owned()) } else { Ok(operands) }
    }

    fn operand(&mut self) -> Result<Option<Operand>, String> {
        let mut fields = Vec::new();
        let base = match self.peek().cloned() {
            Some(Token::Dot) => Base::Dot,
            Some(Token::Field(name)) => {
                fields.push(name);
                Base::Dot
            }
            Some(Token::Variable(name)) => Base::Variable(name),
            Some(Token::Quoted(text)) => Base::Text(text),
            Some(Token::Number(number)) => Base::Number(number),
            Some(Token::Word(word)) => match word.as_str() {
                "true" | "false" => Base::Bool(word == "true"),
                "nil" => Base::Nil,
                _ => Base::Function(word),
            },
            Some(Token::Sign("(")) => {
                self.at += 1;
                let pipe = self.pipe()?;
                if self.peek() != Some(&Token::Sign(")")) {
                    return Err(format!("unclosed left paren before {}", show(self.peek())));
                }
                Base::Pipe(pipe)
            }
            _ => return Ok(None),
        };
        self.at += 1;
        while let Some(Token::Chain(name)) = self.peek().cloned() {
            fields.push(name);
            self.at += 1;
        }
        Ok(Some(Operand { base, fields }))
    }
}

fn is_keyword(word: &str) -> bool {
    ["end", "else", "if", "with", "range", "template", "define", "block", "break", "continue"].contains(&word)
}

fn show(token: Option<&Token>) -> String {
    token.map_or("the end of the template".to_owned(), |token| format!("{token:?}"))
}
