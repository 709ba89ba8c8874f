//! What one hand was promised, and what it sent without hearing back.

/// Whether something should still be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Live,
    Dead,
    /// Its end was asked for, and the answer was lost.
    Unheard,
}

/// An access token of a client's own.
pub struct Minted {
    pub token: String,
    /// It is that of the client that revokes: another's is not its to end.
    pub own: bool,
    pub fate: Fate,
}

/// What may be turned into tokens once: a factor's assertion with the challenge token it was proved under, or a
/// client's own assertion.
pub struct Once {
    pub jwt: String,
    pub challenge: Option<String>,
    pub sent: usize,
    /// Answers that held tokens.
    pub won: usize,
    /// A server that was not killed has said what became of it.
    pub settled: bool,
}

/// A grant with its refresh tokens, oldest first.
pub struct Line {
    pub refresh: Vec<String>,
    pub access: Vec<String>,
    /// The newest was presented, and the answer was lost.
    pub turning: bool,
    pub fate: Fate,
}

/// One hand and its ledger.
pub struct Hand {
    pub person: String,
    pub minted: Vec<Minted>,
    /// Challenge tokens of sign-ins that were begun.
    pub begun: Vec<String>,
    /// Challenge tokens under which a password was sent without an answer.
    pub trying: Vec<String>,
    /// Assertions of proved passwords.
    pub proofs: Vec<Once>,
    pub lines: Vec<Line>,
    /// Client assertions.
    pub signed: Vec<Once>,
}

impl Once {
    pub fn new(jwt: String, challenge: Option<String>) -> Self {
        Self { jwt, challenge, sent: 0, won: 0, settled: false }
    }

    /// It was sent, and whether it was taken is not known.
    pub fn is_open(&self) -> bool {
        self.sent > 0 && self.won == 0 && !self.settled
    }

    /// Tokens came back for it.
    #[track_caller]
    pub fn win(&mut self) {
        self.won += 1;
        assert_eq!(self.won, 1, "an assertion was turned into tokens twice");
    }
}

impl Hand {
    pub fn new(number: usize) -> Self {
        Self {
            person: crate::api::person(number),
            minted: Vec::new(),
            begun: Vec::new(),
            trying: Vec::new(),
            proofs: Vec::new(),
            lines: Vec::new(),
            signed: Vec::new(),
        }
    }

    /// Requests in the ledger whose answers were lost.
    pub fn unanswered(&self) -> usize {
        self.trying.len()
            + self.minted.iter().filter(|minted| minted.fate == Fate::Unheard).count()
            + self.lines.iter().filter(|line| line.turning || line.fate == Fate::Unheard).count()
            + self.proofs.iter().chain(&self.signed).filter(|once| once.is_open()).count()
    }

    pub fn promised(&self) -> Promised {
        let dead = |fate: Fate| usize::from(fate == Fate::Dead);
        Promised {
            tokens: self.minted.len(),
            begun: self.begun.len(),
            spent: self.proofs.iter().map(|once| once.won).sum(),
            turns: self.lines.iter().map(|line| line.refresh.len() - 1).sum(),
            tokens_revoked: self.minted.iter().map(|minted| dead(minted.fate)).sum(),
            lines_ended: self.lines.iter().map(|line| dead(line.fate)).sum(),
            signed: self.signed.iter().map(|once| once.won).sum(),
        }
    }
}

/// How much of each kind was promised.
#[derive(Debug, Default)]
pub struct Promised {
    tokens: usize,
    begun: usize,
    spent: usize,
    turns: usize,
    tokens_revoked: usize,
    lines_ended: usize,
    signed: usize,
}

impl Promised {
    pub fn all_happened(&self) {
        let Self { tokens, begun, spent, turns, tokens_revoked, lines_ended, signed } = *self;
        let least = [tokens, begun, spent, turns, tokens_revoked, lines_ended, signed].into_iter().min();
        assert!(least > Some(0), "{self:?}");
    }
}

impl std::iter::Sum for Promised {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            tokens: a.tokens + b.tokens,
            begun: a.begun + b.begun,
            spent: a.spent + b.spent,
            turns: a.turns + b.turns,
            tokens_revoked: a.tokens_revoked + b.tokens_revoked,
            lines_ended: a.lines_ended + b.lines_ended,
            signed: a.signed + b.signed,
        })
    }
}
