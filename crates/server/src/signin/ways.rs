//! The ways in which the person of a sign-in may go on: what is asked for, held against what the person has. Owns the
//! selection, its order and how a destination is masked; makes no challenge and knows no page.

use engine::FactorKind;
use protocol::records::{Enrolment, UserId};
use serde_json::Value;

use super::factors::otp;
use super::{Flow, IssueRequest, SignIns};
use crate::fault::Fault;

/// One way to go on.
#[derive(Clone, Debug)]
pub struct Way {
    /// The factor.
    pub kind: FactorKind,
    /// What it is proved with.
    pub with: With,
    /// What the person calls it; the kind must be named in words where it has no name.
    pub name: Option<String>,
    /// Where a code would go, most of it hidden.
    pub masked: Option<String>,
}

/// What a factor is proved with.
#[derive(Clone, Debug)]
pub enum With {
    /// Nothing in particular: a password, any passkey of the person, a factor of somebody not known yet.
    Anything,
    /// This enrolment.
    Enrolment(Box<Enrolment>),
    /// This address of the person in the directory.
    Address {
        /// Whose it is.
        user: UserId,
        /// The address.
        to: String,
    },
}

impl Way {
    fn plain(kind: FactorKind) -> Self {
        Self { kind, with: With::Anything, name: None, masked: None }
    }

    fn enrolled(kind: FactorKind, enrolment: &Enrolment) -> Self {
        let text = |member: &str| enrolment.attributes.get(member).and_then(Value::as_str);
        let name = ["nickname", "accountName", "deviceName"].into_iter().find_map(text).filter(|name| !name.is_empty());
        Self {
            kind,
            name: name.map(str::to_owned),
            masked: otp::address(enrolment).map(mask),
            with: With::Enrolment(Box::new(enrolment.clone())),
        }
    }

    /// A name for it that stays the same within the sign-in and gives nothing away: the enrolment, or the kind.
    pub fn id(&self) -> String {
        match &self.with {
            With::Enrolment(enrolment) => enrolment.id.0.clone(),
            With::Anything | With::Address { .. } => self.kind.as_str().to_owned(),
        }
    }

    /// The code to ask for, where this way is one of a code that is sent.
    pub fn code(&self) -> Option<IssueRequest<'_>> {
        otp::is_sent(self.kind).then_some(())?;
        match &self.with {
            With::Anything => None,
            With::Enrolment(enrolment) => Some(IssueRequest::Code { enrolment, correlation: None }),
            With::Address { user, to } => {
                Some(IssueRequest::Transient { kind: self.kind, to, user: Some(user.clone()), correlation: None })
            }
        }
    }
}

impl SignIns<'_> {
    /// The ways to go on, in the order of `any_of`, what the person prefers first, what was used last before what was
    /// not. While nobody is known each kind
    /// is one way by itself; afterwards only what the person has, and what leaves this server, is one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn ways(self, flow: &Flow, any_of: &[FactorKind]) -> Result<Vec<Way>, Fault> {
        let Some(subject) = &flow.stored.state.subject else {
            return Ok(any_of.iter().copied().map(Way::plain).collect());
        };
        self.ways_of(&UserId::from(subject.as_str()), any_of).await
    }

    /// The same for a person who is named, whether or not a sign-in knows them yet.
    ///
    /// # Errors
    /// The store failed.
    pub async fn ways_of(self, user: &UserId, any_of: &[FactorKind]) -> Result<Vec<Way>, Fault> {
        let mut enrolled = self.enrolments_of(user).await?;
        enrolled.retain(|one| one.enabled && one.validated);
        enrolled.sort_by_key(|one| (std::cmp::Reverse(one.attempted), one.created));
        let person = self.person(user).await?.filter(|person| person.active);
        let mut ways = Vec::new();
        for kind in any_of.iter().copied() {
            let of_kind = || enrolled.iter().filter(|one| one.kind == kind.as_str());
            match kind {
                FactorKind::Password => {
                    ways.extend(person.iter().filter(|one| one.password.is_some()).map(|_| Way::plain(kind)));
                }
                FactorKind::Passkey => ways.extend(of_kind().next().map(|_| Way::plain(kind))),
                FactorKind::EmailOtp | FactorKind::SmsOtp | FactorKind::VoiceOtp => {
                    if !otp::channel_of(kind.as_str()).is_some_and(|channel| self.app.delivery.supports(channel)) {
                        continue;
                    }
                    ways.extend(of_kind().map(|one| Way::enrolled(kind, one)));
                    if of_kind().next().is_none() {
                        let attribute = super::records::attribute(kind);
                        let to = person.as_ref().and_then(|person| person.attributes.get(attribute)?.first());
                        let usable = to.filter(|to| otp::check(&self.tenant.tenant, kind, to).is_ok());
                        ways.extend(usable.map(|to| Way {
                            kind,
                            with: With::Address { user: user.clone(), to: to.clone() },
                            name: None,
                            masked: Some(mask(to)),
                        }));
                    }
                }
                FactorKind::BypassCode => {
                    if self.bypass_codes_left(user).await? > 0 {
                        ways.push(Way::plain(kind));
                    }
                }
                // Begins a sign-in, and is none of a person's own.
                FactorKind::Federated => {}
                FactorKind::Totp
                | FactorKind::Qr
                | FactorKind::Questions
                | FactorKind::PushPresence
                | FactorKind::PushFingerprint
                | FactorKind::PushFace => ways.extend(of_kind().map(|one| Way::enrolled(kind, one))),
            }
        }
        if ways.len() > 1
            && let Some(preferred) = self.preferred(user).await?
        {
            ways.sort_by_key(|way| !preferred.means(way));
        }
        Ok(ways)
    }
}

/// An address with most of it hidden: whoever has the password only must not learn where the second factor goes.
pub fn mask(to: &str) -> String {
    if let Some((local, domain)) = to.rsplit_once('@') {
        let letters: Vec<char> = local.chars().collect();
        return match letters.as_slice() {
            [first, _, _, .., last] => format!("{first}***{last}@{domain}"),
            [first, ..] => format!("{first}***@{domain}"),
            [] => format!("***@{domain}"),
        };
    }
    let letters: Vec<char> = to.chars().collect();
    let shown: String = letters[letters.len().saturating_sub(2)..].iter().collect();
    format!("*******{shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_its_owner_only_enough_to_know_it() {
        assert_eq!(mask("scott@example.test"), "s***t@example.test");
        assert_eq!(mask("me@example.test"), "m***@example.test");
        assert_eq!(mask("@example.test"), "***@example.test");
        assert_eq!(mask("+61412345678"), "*******78");
        assert_eq!(mask("7"), "*******7");
    }
}
