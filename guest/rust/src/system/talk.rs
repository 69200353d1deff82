//! The conversation with `service://qyvold`: requests and answers in lines of JSON, some with bytes after them.

use std::cell::{Cell, RefCell};

use qyv_svc::protocol::Framing;
use serde_json::{Map, Value, json};

use super::failure::{Failure, Refusal, Result};
use crate::error::{Error, ErrorKind};
use crate::net::{Connection, try_connect};

/// The address of the system.
const ADDRESS: &str = "service://qyvold";

/// The version that is spoken.
const VERSION: u64 = 1;

/// An answer: what it says, and the bytes after it.
pub(crate) type Answer = (Value, Vec<u8>);

/// One conversation. Dropped, it is over, and so are the children that were started in it.
#[derive(Debug)]
pub(crate) struct Talk {
    connection: Connection,
    heard: RefCell<Vec<u8>>,
    asked: Cell<u64>,
}

impl Talk {
    pub(crate) async fn dial() -> Result<Self> {
        // Lines with raw bytes between them: they are told apart here.
        let connection = try_connect(ADDRESS).framing(Framing::Stream).await?;
        Ok(Self { connection, heard: RefCell::default(), asked: Cell::new(0) })
    }

    /// Sends a request, and gives its number.
    pub(crate) async fn send(&self, word: &str, fields: Value, bytes: &[u8]) -> Result<u64> {
        let id = self.asked.get() + 1;
        self.asked.set(id);
        let mut request = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        request.insert("v".into(), VERSION.into());
        request.insert("id".into(), id.into());
        request.insert("do".into(), word.into());
        if !bytes.is_empty() {
            request.insert("bytes".into(), bytes.len().into());
        }
        let mut message = Value::Object(request).to_string().into_bytes();
        message.push(b'\n');
        message.extend_from_slice(bytes);
        self.connection.send(message).await?;
        Ok(id)
    }

    /// The next answer, and the number of its request.
    pub(crate) async fn next(&self) -> Result<(u64, Result<Answer>)> {
        let line = loop {
            let end = self.heard.borrow().iter().position(|byte| *byte == b'\n');
            match end {
                Some(end) => break self.take(end + 1),
                None => self.hear().await?,
            }
        };
        let mut answer: Value = serde_json::from_slice(&line).map_err(|_| not_understood())?;
        let id = answer["id"].as_u64().ok_or_else(not_understood)?;
        if let Some(refusal) = Refusal::of(&answer["error"]) {
            return Ok((id, Err(Failure::Refused(refusal))));
        }
        let bytes = usize::try_from(answer["bytes"].as_u64().unwrap_or(0)).map_err(|_| not_understood())?;
        while self.heard.borrow().len() < bytes {
            self.hear().await?;
        }
        Ok((id, Ok((answer["ok"].take(), self.take(bytes)))))
    }

    /// Asks, and waits for the answer. Only where nothing else was asked.
    pub(crate) async fn ask(&self, word: &str, fields: Value, bytes: &[u8]) -> Result<Answer> {
        let id = self.send(word, fields, bytes).await?;
        loop {
            // What was given up on before is not waited for any more.
            let (number, answer) = self.next().await?;
            if number == id {
                return answer;
            }
        }
    }

    /// The same about a child.
    pub(crate) async fn ask_of(&self, word: &str, child: u64) -> Result<Answer> {
        self.ask(word, json!({ "child": child }), &[]).await
    }

    async fn hear(&self) -> Result<()> {
        match self.connection.recv().await? {
            Some(bytes) => {
                self.heard.borrow_mut().extend(bytes);
                Ok(())
            }
            None => Err(Error::new(ErrorKind::Closed, ADDRESS).into()),
        }
    }

    fn take(&self, count: usize) -> Vec<u8> {
        let mut heard = self.heard.borrow_mut();
        let rest = heard.split_off(count);
        std::mem::replace(&mut heard, rest)
    }
}

/// The host speaks another version of the conversation.
pub(crate) fn not_understood() -> Failure {
    Error::new(ErrorKind::NoProtocol, ADDRESS).into()
}
