//! Password hashing: right and wrong guesses, what is refused unhashed, full queues and remembered client secrets.
#![allow(clippy::unwrap_used, clippy::panic)]

use countersign::hashing::{Cost, HashError, Hashing};
use countersign::secret::Secret;

fn cheap() -> Cost {
    Cost { lanes: 1, queue: 4, memory: 64, passes: 1, parallel: 1 }
}

fn start(cost: Cost) -> Hashing {
    Hashing::start(cost).unwrap()
}

#[tokio::test]
async fn a_hash_matches_its_password_and_no_other() {
    let hashing = start(cheap());
    let phc = hashing.hash("hunter22".into()).await.unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
    assert!(hashing.verify(&phc, "hunter22".into()).await.unwrap());
    for wrong in ["hunter2", "hunter222", "Hunter22", "", " hunter22"] {
        assert!(!hashing.verify(&phc, wrong.into()).await.unwrap(), "{wrong}");
    }
    assert_ne!(phc, hashing.hash("hunter22".into()).await.unwrap(), "the salt is drawn anew");
}

/// Made with the reference implementation in C, so that ours is not its own judge.
#[tokio::test]
async fn another_implementation_agrees() {
    let hashing = start(cheap());
    for phc in FOREIGN {
        assert!(hashing.verify(phc, "correct horse battery staple".into()).await.unwrap(), "{phc}");
        assert!(!hashing.verify(phc, "other".into()).await.unwrap(), "{phc}");
    }
}

const FOREIGN: &[&str] = &[
    "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Sr6N/nCmohWCvF7EZislLIdwA8ojCXux0K30ccqFS30",
    "$argon2id$v=19$m=128,t=1,p=2$c29tZXNhbHRzb21lc2FsdA$wW2BC+2D0H0WZjkpm3+FQoDqc/w5lyCV6ks3gsZ0ie8",
    "$argon2i$v=19$m=64,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$HNH+yimXcxyjOQKC5wfYZNupTYJkHwTwhFruvRLJzy8",
    "$argon2id$v=16$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$om9h6QpUtL/b2yfUAK6XwantwRNrvPCx4xm44OXJaLk",
];

#[tokio::test]
async fn unfit_passwords_are_refused_before_hashing() {
    let hashing = start(cheap());
    let phc = hashing.hash("x".into()).await.unwrap();
    for unfit in [String::new(), "a\0b".to_owned(), "a".repeat(1025)] {
        assert_eq!(hashing.hash(unfit.clone().into()).await, Err(HashError::Unfit));
        assert!(!hashing.verify(&phc, unfit.into()).await.unwrap());
    }
    let longest = "é".repeat(512);
    let phc = hashing.hash(longest.as_str().into()).await.unwrap();
    assert!(hashing.verify(&phc, longest.into()).await.unwrap());
}

#[tokio::test]
async fn a_stranger_never_matches() {
    let hashing = start(cheap());
    for guess in ["", "password", "hunter22"] {
        assert!(!hashing.verify_stranger(guess.into()).await.unwrap());
    }
}

#[tokio::test]
async fn malformed_and_excessive_hashes_match_nothing() {
    let hashing = start(cheap());
    let good = hashing.hash("x".into()).await.unwrap();
    let salt_and_hash = good.split_once("p=1$").unwrap().1;
    for bad in [
        "",
        "x",
        "$",
        "$argon2id$",
        "$2b$10$abcdefghijklmnopqrstuv",
        "$argon2id$v=19$m=64,t=1$c29tZXNhbHQ$AAAA",
        &format!("$argon2id$v=19$m=4294967295,t=1,p=1${salt_and_hash}"),
        &format!("$argon2id$v=19$m=64,t=4000000000,p=1${salt_and_hash}"),
        &format!("$argon2id$v=20$m=64,t=1,p=1${salt_and_hash}"),
        &format!("{good}$more"),
        &"$".repeat(600),
    ] {
        assert!(!hashing.verify(bad, "x".into()).await.unwrap(), "{bad}");
        assert!(hashing.needs_rehash(bad));
    }
}

#[tokio::test]
async fn a_hash_of_another_cost_is_to_be_renewed() {
    let hashing = start(cheap());
    let phc = hashing.hash("x".into()).await.unwrap();
    assert!(!hashing.needs_rehash(&phc));
    assert!(start(Cost { passes: 2, ..cheap() }).needs_rehash(&phc));
    assert!(start(Cost { memory: 65, ..cheap() }).needs_rehash(&phc));
    // It still verifies, also where memory must grow and shrink between hashes of different cost.
    let other = start(Cost { memory: 1024, ..cheap() });
    let large = other.hash("y".into()).await.unwrap();
    for _ in 0..2 {
        assert!(other.verify(&phc, "x".into()).await.unwrap());
        assert!(other.verify(&large, "y".into()).await.unwrap());
        assert!(hashing.verify(&large, "y".into()).await.unwrap());
    }
}

#[tokio::test]
async fn a_full_queue_answers_busy_at_once_and_says_for_how_long() {
    // Slow enough that the first guess is still being judged while the others arrive.
    let hashing = start(Cost { lanes: 1, queue: 2, memory: 64 * 1024, passes: 4, parallel: 1 });
    let mut waiting = Vec::new();
    let mut busy = 0;
    for _ in 0..12 {
        let guess = Box::pin(hashing.verify_stranger("guess".into()));
        match poll_once(guess).await {
            Ok(Err(refused)) => {
                assert!((1..=60).contains(&refused.retry_after));
                busy += 1;
            }
            Ok(Ok(matched)) => panic!("judged without waiting: {matched}"),
            Err(pending) => waiting.push(pending),
        }
    }
    // One may be in the lane, two in the queue.
    assert!((2..=3).contains(&waiting.len()), "{} wait", waiting.len());
    assert_eq!(busy, 12 - waiting.len());
    for guess in waiting {
        assert!(!guess.await.unwrap());
    }
    assert_eq!(hashing.waiting(), 0);
}

#[tokio::test]
async fn callers_that_went_away_hold_no_place_in_the_queue() {
    let hashing = start(Cost { lanes: 1, queue: 2, memory: 64 * 1024, passes: 4, parallel: 1 });
    for _ in 0..20 {
        // Polled once, then dropped: a client that hung up.
        let polled = poll_once(Box::pin(hashing.verify_stranger("guess".into()))).await;
        assert!(polled.is_err(), "the queue is never full of the dead");
    }
}

/// The value if the future is ready at its first poll, else the future.
async fn poll_once<F: Future + Unpin>(mut future: F) -> Result<F::Output, F> {
    let first = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await;
    first.ok_or(future)
}

#[tokio::test]
async fn a_client_secret_is_hashed_once_and_remembered_only_when_right() {
    let hashing = start(Cost { memory: 19_456, passes: 2, ..cheap() });
    let phc = hashing.hash("correct horse".into()).await.unwrap();
    let check = |secret: &'static str| {
        let (hashing, phc) = (hashing.clone(), phc.clone());
        async move { hashing.verify_client_secret(&phc, Secret::from(secret)).await.unwrap() }
    };
    assert!(!check("wrong").await);
    assert!(!check("wrong").await);
    assert!(check("correct horse").await);
    // Remembered: the answer is there at the first poll, without a thread.
    assert!(matches!(poll_once(Box::pin(check("correct horse"))).await, Ok(true)));
    // Neither a wrong secret nor another hash profits from it.
    assert!(poll_once(Box::pin(check("wrong"))).await.is_err());
    let other = hashing.hash("something else".into()).await.unwrap();
    assert!(!hashing.verify_client_secret(&other, "correct horse".into()).await.unwrap());
}

#[tokio::test]
async fn many_uses_of_one_client_secret_at_once_wait_for_one_hash() {
    let hashing = start(Cost { lanes: 1, queue: 1, memory: 19_456, passes: 2, parallel: 1 });
    let phc = hashing.hash("correct horse".into()).await.unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (hashing, phc) = (hashing.clone(), phc.clone());
            tokio::spawn(async move { hashing.verify_client_secret(&phc, "correct horse".into()).await })
        })
        .collect();
    // A queue of one would have refused most of them had each asked for its own hash.
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(true));
    }
}
