//! A mail server for tests: it takes what it is told to take, refuses the rest, and keeps what arrived.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What the server answers to the recipient of a mail, one after the other; the last one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Take,
    /// Refuses with this reply.
    Refuse(&'static str),
}

#[derive(Default)]
struct Kept {
    answers: Vec<Answer>,
    mails: Vec<String>,
    logins: Vec<String>,
}

/// The server.
#[derive(Clone)]
pub struct Sink {
    kept: Arc<Mutex<Kept>>,
    arrived: Arc<Notify>,
    pub port: u16,
}

impl Sink {
    /// Starts one with these answers.
    pub async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, answers)
    }

    /// Starts one on a listener that is bound already.
    pub fn on(listener: TcpListener, answers: &[Answer]) -> Self {
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::new(Mutex::new(Kept { answers: answers.to_vec(), ..Kept::default() }));
        let sink = Self { kept, arrived: Arc::new(Notify::new()), port };
        let served = sink.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let served = served.clone();
                tokio::spawn(async move { served.talk(socket).await });
            }
        });
        sink
    }

    /// What arrived so far.
    pub fn mails(&self) -> Vec<String> {
        self.kept.lock().unwrap().mails.clone()
    }

    /// Who logged in so far (the argument of `AUTH PLAIN`).
    pub fn logins(&self) -> Vec<String> {
        self.kept.lock().unwrap().logins.clone()
    }

    /// Ends when the next mail has arrived.
    pub async fn arrival(&self) {
        self.arrived.notified().await;
    }

    async fn talk(&self, socket: TcpStream) -> Option<()> {
        let (read, mut write) = socket.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 sink\r\n").await.ok()?;
        while let Some(line) = lines.next_line().await.ok()? {
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            let reply = match verb.as_str() {
                "EHLO" => "250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN\r\n".to_owned(),
                "AUTH" => {
                    self.kept.lock().unwrap().logins.push(line);
                    "235 yes\r\n".to_owned()
                }
                "RCPT" => match self.answer() {
                    Answer::Take => "250 yes\r\n".to_owned(),
                    Answer::Refuse(reply) => format!("{reply}\r\n"),
                },
                "DATA" => {
                    write.write_all(b"354 go on\r\n").await.ok()?;
                    let mut mail = String::new();
                    loop {
                        let line = lines.next_line().await.ok()??;
                        if line == "." {
                            break;
                        }
                        mail.push_str(&line);
                        mail.push('\n');
                    }
                    self.kept.lock().unwrap().mails.push(mail);
                    self.arrived.notify_one();
                    "250 kept\r\n".to_owned()
                }
                "QUIT" => {
                    write.write_all(b"221 bye\r\n").await.ok()?;
                    return Some(());
                }
                _ => "250 yes\r\n".to_owned(),
            };
            write.write_all(reply.as_bytes()).await.ok()?;
        }
        Some(())
    }

    fn answer(&self) -> Answer {
        let mut kept = self.kept.lock().unwrap();
        if kept.answers.len() > 1 {
            kept.answers.remove(0)
        } else {
            kept.answers.first().copied().unwrap_or(Answer::Take)
        }
    }
}
