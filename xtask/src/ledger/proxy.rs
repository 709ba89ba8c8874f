//! A door before each node that now and then loses an answer that was given, or hangs up while the node is at work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use super::chance::Chance;
use crate::Outcome;

/// How often an answer is lost, of 1024: changed while connections come.
#[derive(Clone, Default)]
pub struct Mischief(Arc<AtomicU64>);

impl Mischief {
    /// From now on so many of 1024 answers are lost.
    pub fn set(&self, of_1024: u64) {
        self.0.store(of_1024, Ordering::Relaxed);
    }
}

/// What becomes of one connection.
#[derive(Clone, Copy)]
enum Fate {
    Served,
    /// The node answers, nobody hears it.
    Swallowed,
    /// Cut off after so many microseconds, wherever the node stands then.
    Cut(u64),
}

/// Opens a door to `backend`; where it is.
pub async fn open(backend: SocketAddr, mischief: Mischief, mut chance: Chance) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|e| format!("no port for a proxy: {e}"))?;
    let address = listener.local_addr().map_err(|e| format!("no port for a proxy: {e}"))?;
    tokio::spawn(async move {
        loop {
            let Ok((client, _)) = listener.accept().await else { continue };
            let fate = if chance.below(1024) < mischief.0.load(Ordering::Relaxed) {
                if chance.one_in(2) { Fate::Swallowed } else { Fate::Cut(chance.below(6000)) }
            } else {
                Fate::Served
            };
            // What goes wrong on the way is what a client hears as a lost answer.
            tokio::spawn(async move { carry(client, backend, fate).await });
        }
    });
    Ok(address)
}

async fn carry(mut client: TcpStream, backend: SocketAddr, fate: Fate) -> std::io::Result<()> {
    let mut node = TcpStream::connect(backend).await?;
    client.set_nodelay(true)?;
    node.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_node, mut to_node) = node.split();
    let up = copy(&mut from_client, &mut to_node);
    let down = async {
        match fate {
            Fate::Served => copy(&mut from_node, &mut to_client).await.map(|_| ()),
            Fate::Swallowed => from_node.read_to_end(&mut Vec::new()).await.map(|_| ()),
            Fate::Cut(after) => {
                tokio::time::sleep(Duration::from_micros(after)).await;
                Ok(())
            }
        }
    };
    // A client that hangs up takes the connection to the node along.
    tokio::select! {
        done = down => done?,
        done = up => done.map(|_| ())?,
    }
    if matches!(fate, Fate::Served) {
        to_client.shutdown().await?;
    }
    Ok(())
}
