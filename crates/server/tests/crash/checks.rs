//! Whether a server started anew keeps the word of the one that was killed. What was cut short is settled here: it
//! either happened wholly or not at all, and stays so from then on.

use crate::api::{Api, Lost, text};
use crate::chance::Chance;
use crate::ledger::{Fate, Hand, Line, Once};
use crate::load::line;

/// Checks everything in a hand's ledger, and gives the ledger back with what was settled.
pub async fn keep_word(api: Api, mut hand: Hand, mut chance: Chance) -> Hand {
    let checked = async {
        minted(&api, &mut hand).await?;
        begun(&api, &mut hand, &mut chance).await?;
        trying(&api, &mut hand).await?;
        proofs(&api, &mut hand).await?;
        signed(&api, &mut hand).await?;
        for line in &mut hand.lines {
            let reuse = chance.one_in(3);
            follow(&api, line, reuse).await?;
        }
        Ok::<_, Lost>(())
    };
    checked.await.expect("nobody kills this server");
    hand
}

async fn minted(api: &Api, hand: &mut Hand) -> Result<(), Lost> {
    for minted in &mut hand.minted {
        let active = api.is_active(&minted.token).await?;
        match minted.fate {
            Fate::Live => assert!(active, "an acknowledged token is gone"),
            Fate::Dead => assert!(!active, "a revoked token is back"),
            Fate::Unheard => minted.fate = if active { Fate::Live } else { Fate::Dead },
        }
    }
    Ok(())
}

/// Sign-ins that were begun go on; some are taken to their proof now.
async fn begun(api: &Api, hand: &mut Hand, chance: &mut Chance) -> Result<(), Lost> {
    for challenge in &hand.begun {
        assert_eq!(api.introspect(challenge).await?, (true, "mfa_challenge".to_owned()), "a sign-in is gone");
    }
    let (now, later) = std::mem::take(&mut hand.begun).into_iter().partition(|_| chance.one_in(4));
    hand.begun = later;
    let now: Vec<String> = now;
    hand.trying.extend(now);
    Ok(())
}

/// A password whose answer was lost is sent again: whether it was judged, only charged or never seen, it must do.
async fn trying(api: &Api, hand: &mut Hand) -> Result<(), Lost> {
    for challenge in std::mem::take(&mut hand.trying) {
        let body = api.password(&challenge, &hand.person).await?.ok();
        hand.proofs.push(Once::new(text(&body, "assertion"), Some(challenge)));
    }
    Ok(())
}

/// An assertion gives tokens once: exactly once if it was never sent, and never again if it did.
async fn proofs(api: &Api, hand: &mut Hand) -> Result<(), Lost> {
    for once in &mut hand.proofs {
        let challenge = once.challenge.clone().expect("a proof was made under a challenge token");
        if once.won == 0 && !once.settled {
            let fresh = once.sent == 0;
            let open = api.is_active(&challenge).await?;
            once.sent += 1;
            match api.present(&once.jwt).await?.tokens_or_spent() {
                Some(body) => {
                    assert!(open, "an assertion was taken for a sign-in that had ended");
                    once.win();
                    hand.lines.push(line(&body));
                }
                // It was redeemed by the request whose answer was lost, and then its sign-in ended with it.
                None => assert!(!open && !fresh, "half of a redemption is there"),
            }
            once.settled = true;
        }
        assert!(!api.is_active(&challenge).await?, "a sign-in goes on after it was redeemed");
        api.present(&once.jwt).await?.spent();
    }
    Ok(())
}

async fn signed(api: &Api, hand: &mut Hand) -> Result<(), Lost> {
    for once in &mut hand.signed {
        once.sent += 1;
        if let Some(body) = api.mint_signed(&once.jwt).await?.tokens_or_spent() {
            assert!(!once.settled, "a client assertion that was spent is good again");
            once.win();
            assert!(api.is_active(&text(&body, "access_token")).await?);
            api.mint_signed(&once.jwt).await?.spent();
        }
        once.settled = true;
    }
    Ok(())
}

/// A line of refresh tokens goes on where its client thinks it stands.
async fn follow(api: &Api, line: &mut Line, reuse: bool) -> Result<(), Lost> {
    let newest = line.refresh.last().expect("a line has a token").clone();
    if line.fate == Fate::Unheard {
        line.fate = if api.is_active(&newest).await? { Fate::Live } else { Fate::Dead };
    }
    if line.fate == Fate::Dead {
        return is_dead(api, line).await;
    }
    if line.turning {
        // Whether that refresh was committed or not, its client has tokens now, and the same ones if it asks once more.
        let body = api.refresh(&newest).await?.ok();
        assert_eq!(api.refresh(&newest).await?.ok()["refresh_token"], body["refresh_token"]);
        line.take(&body);
    } else if let [.., before, _] = line.refresh.as_slice() {
        let repeated = api.refresh(before).await?.ok();
        assert_eq!(text(&repeated, "refresh_token"), newest, "the last answer is given again after a restart");
        assert_eq!(Some(&text(&repeated, "access_token")), line.access.last());
    }
    // With the grant came its access tokens: one without the other would be half a commit.
    for access in &line.access {
        assert!(api.is_active(access).await?, "an access token of a live grant is gone");
    }
    let newest = line.refresh.last().expect("a line has a token").clone();
    assert!(api.is_active(&newest).await?, "an acknowledged refresh token is gone");
    line.take(&api.refresh(&newest).await?.ok());
    // Now every token but the last two was rotated twice or more.
    if let ([old, _, _] | [.., old, _, _], true) = (line.refresh.as_slice(), reuse) {
        api.refresh(old).await?.spent();
        line.fate = Fate::Dead;
        return is_dead(api, line).await;
    }
    Ok(())
}

async fn is_dead(api: &Api, line: &Line) -> Result<(), Lost> {
    for token in line.refresh.iter().chain(&line.access) {
        assert!(!api.is_active(token).await?, "a token of a grant that ended is back");
    }
    api.refresh(line.refresh.last().expect("a line has a token")).await?.spent();
    Ok(())
}
