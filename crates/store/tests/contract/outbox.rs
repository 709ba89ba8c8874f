//! Messages are kept until they are delivered, and given to one node at a time.

use std::collections::BTreeSet;

use store::{Change, Mail};

use crate::world::*;

fn mail(id: &str) -> Mail {
    Mail { id: id.into(), channel: "email".into(), sealed: vec![1, 2, 0], created: NOW, expires: NOW + 300 }
}

#[test]
fn a_message_is_leased_retried_and_done() {
    on_both(|store| async move {
        assert_eq!(store.outbox_waiting(NOW).await.unwrap(), 0);
        do_one(&store, Change::Enqueue(mail("m"))).await;
        assert_eq!(store.outbox_waiting(NOW).await.unwrap(), 1);
        assert!(store.claim_outbox("email", NOW - 1, 60, 10).await.unwrap().is_empty(), "not due yet");
        let first = store.claim_outbox("email", NOW, 60, 10).await.unwrap().pop().unwrap();
        assert!(first.mail == mail("m") && first.tenant == tenant() && first.tries == 0);
        assert!(store.claim_outbox("email", NOW + 59, 60, 10).await.unwrap().is_empty(), "leased");
        let second = store.claim_outbox("email", NOW + 60, 60, 10).await.unwrap().pop().unwrap();
        assert_eq!(second.tries, 1, "its first holder died");
        store.outbox_retry("m", NOW + 70).await.unwrap();
        assert_eq!(store.claim_outbox("email", NOW + 70, 60, 10).await.unwrap().len(), 1);
        store.outbox_done("m").await.unwrap();
        store.outbox_done("m").await.unwrap();
        assert!(store.claim_outbox("email", NOW + 200, 60, 10).await.unwrap().is_empty());
        assert_eq!(store.outbox_waiting(NOW + 200).await.unwrap(), 0, "delivered");
        do_one(&store, Change::Enqueue(mail("late"))).await;
        assert!(store.claim_outbox("email", NOW + 300, 60, 10).await.unwrap().is_empty(), "no longer worth it");
        assert_eq!(store.outbox_waiting(NOW + 300).await.unwrap(), 0, "no longer worth it");
    });
}

#[test]
fn each_message_goes_to_one_of_many_nodes() {
    on_both(|store| async move {
        for number in 0..60 {
            do_one(&store, Change::Enqueue(mail(&format!("m{number}")))).await;
        }
        let nodes: Vec<_> = (0..12)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.claim_outbox("email", NOW, 60, 10).await.unwrap() })
            })
            .collect();
        let mut claimed = Vec::new();
        for node in nodes {
            claimed.extend(node.await.unwrap().into_iter().map(|item| item.mail.id));
        }
        claimed.extend(store.claim_outbox("email", NOW, 60, 100).await.unwrap().into_iter().map(|item| item.mail.id));
        let distinct: BTreeSet<_> = claimed.iter().collect();
        assert_eq!((claimed.len(), distinct.len()), (60, 60));
    });
}
