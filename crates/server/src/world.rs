//! The one seam for clock and randomness. Owns every reading of the time and every random byte of the server; the
//! lints forbid the ambient sources everywhere else. Does not know what the time or the bytes are for.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::records::Seconds;

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The same, in the order of their bytes.
const ORDERED: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters of an ordered token that tell its second; enough for 1800 years.
pub const WHEN: usize = 6;

/// The clock and the source of random bytes. Cheap to clone; clones share one clock.
#[derive(Clone, Debug)]
pub struct World(Clock);

#[derive(Clone, Debug)]
enum Clock {
    Real,
    /// The machine's, off by so many milliseconds.
    Stepped(Arc<AtomicI64>),
    /// Milliseconds, moved by hand.
    Fake(Arc<AtomicI64>),
}

impl World {
    /// The clock of the machine.
    pub fn real() -> Self {
        Self(Clock::Real)
    }

    /// The clock of the machine, off by what [`set_offset`](Self::set_offset) says: for trials of clocks that are stepped.
    pub fn stepped() -> Self {
        Self(Clock::Stepped(Arc::new(AtomicI64::new(0))))
    }

    /// How far a stepped clock, and with it all its clones, is off from now on, milliseconds. Others heed it not.
    pub fn set_offset(&self, millis: i64) {
        if let Clock::Stepped(offset) = &self.0 {
            offset.store(millis, Ordering::SeqCst);
        }
    }

    /// A clock that stands at `start` until it is moved with [`advance`](Self::advance). Random bytes stay random.
    pub fn fake(start: Seconds) -> Self {
        Self(Clock::Fake(Arc::new(AtomicI64::new(start.saturating_mul(1000)))))
    }

    /// Moves a fake clock, and with it all its clones, forward.
    ///
    /// # Panics
    /// On a real clock: only tests hold a fake one, and a test that means to move time must not pass without it.
    #[allow(clippy::panic)]
    pub fn advance(&self, seconds: Seconds) {
        match &self.0 {
            Clock::Real | Clock::Stepped(_) => panic!("only a fake clock can be advanced"),
            Clock::Fake(millis) => {
                millis.fetch_add(seconds.saturating_mul(1000), Ordering::SeqCst);
            }
        }
    }

    /// Seconds since 1970.
    pub fn now(&self) -> Seconds {
        self.now_millis().div_euclid(1000)
    }

    /// Milliseconds since 1970.
    pub fn now_millis(&self) -> i64 {
        match &self.0 {
            Clock::Real => of_the_machine(),
            Clock::Stepped(offset) => of_the_machine().saturating_add(offset.load(Ordering::SeqCst)),
            Clock::Fake(millis) => millis.load(Ordering::SeqCst),
        }
    }

    /// Fills `bytes` with cryptographically random ones.
    pub fn random(&self, bytes: &mut [u8]) {
        fill(bytes);
    }

    /// `len` characters drawn uniformly from `A-Z`, `a-z`, `0-9`: 5.95 bits each.
    pub fn token(&self, len: usize) -> String {
        draw(ALPHANUMERIC, len)
    }

    /// [`WHEN`] characters that tell the second, and `len` drawn ones behind them: a [`World::token`] whose row lies beside those
    /// made before it (see [`World::ordered_uuid`]).
    pub fn ordered_token(&self, len: usize) -> String {
        let mut seconds = u64::try_from(self.now()).unwrap_or(0);
        let mut when = [b'0'; WHEN];
        for place in when.iter_mut().rev() {
            *place = ORDERED[usize::try_from(seconds % 62).unwrap_or(0)];
            seconds /= 62;
        }
        let mut token = String::with_capacity(WHEN + len);
        token.extend(when.map(char::from));
        token.push_str(&self.token(len));
        token
    }

    /// `len` characters drawn uniformly from `charset`, which may hold from 1 to 256 bytes of ASCII.
    /// An unusable charset stands for the decimal digits.
    pub fn digits(&self, charset: &str, len: usize) -> String {
        let usable = (1..=256).contains(&charset.len()) && charset.is_ascii();
        draw(if usable { charset.as_bytes() } else { b"0123456789" }, len)
    }

    /// A random UUID (version 4, RFC 9562 §5.4), lower case.
    pub fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        fill(&mut bytes);
        hyphenated(uuid::Builder::from_random_bytes(bytes))
    }

    /// A UUID that begins with the time (version 7, RFC 9562 §5.7), lower case, for names of rows: those made together lie
    /// together in an index, and a commit touches a page of it in place of one for each row. It names, it does not protect.
    pub fn ordered_uuid(&self) -> String {
        let mut bytes = [0; 10];
        fill(&mut bytes);
        let millis = u64::try_from(self.now_millis()).unwrap_or(0);
        hyphenated(uuid::Builder::from_unix_timestamp_millis(millis, &bytes))
    }
}

fn of_the_machine() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn hyphenated(builder: uuid::Builder) -> String {
    let mut text = [0; 36];
    builder.into_uuid().hyphenated().encode_lower(&mut text).to_owned()
}

/// A running measurement of elapsed time, for latencies; never a moment in time.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Random bytes for code of this crate that holds no [`World`]: key generation, nonces, salts.
pub(crate) fn fill(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the operating system supplies randomness; without it nothing may go on");
}

/// Draws by rejection, so that no character is likelier than another: a byte is cut to the smallest power of two
/// that covers the charset and dropped when it falls beyond the end.
fn draw(charset: &[u8], len: usize) -> String {
    let mask = charset.len().next_power_of_two() - 1;
    let mut out = String::with_capacity(len);
    let mut pool = [0; 64];
    while out.len() < len {
        // A few bytes to spare, so that one call to the generator is nearly always enough.
        let missing = len - out.len();
        let take = (missing + missing / 8 + 4).min(pool.len());
        fill(&mut pool[..take]);
        for byte in &pool[..take] {
            if out.len() == len {
                break;
            }
            if let Some(character) = charset.get(usize::from(*byte) & mask) {
                out.push(char::from(*character));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fake_clock_stands_still_until_it_is_moved() {
        let world = World::fake(1_000);
        let clone = world.clone();
        assert_eq!((world.now(), world.now_millis()), (1_000, 1_000_000));
        world.advance(60);
        assert_eq!(clone.now(), 1_060);
    }

    #[test]
    fn a_stepped_clock_is_off_by_what_was_said_and_no_other_clock_heeds_it() {
        let (world, real) = (World::stepped(), World::real());
        world.clone().set_offset(-86_400_000);
        real.set_offset(-86_400_000);
        assert!((86_390..=86_400).contains(&(real.now() - world.now())));
    }

    #[test]
    fn ordered_names_sort_by_the_moment_they_were_drawn_in_and_never_repeat() {
        let world = World::fake(1_000);
        let mut drawn = Vec::new();
        for _ in 0..100 {
            drawn.push(world.ordered_uuid());
            world.advance(1);
        }
        assert!(drawn.is_sorted());
        assert!(drawn.iter().all(|name| uuid::Uuid::parse_str(name).is_ok_and(|name| name.get_version_num() == 7)));
        let same: std::collections::BTreeSet<_> = (0..100).map(|_| world.ordered_uuid()).collect();
        assert_eq!(same.len(), 100);
    }

    #[test]
    fn ordered_tokens_sort_by_the_second_they_were_drawn_in_for_a_long_time() {
        for start in [0, 61, 3_843, 1_795_000_000, 9_000_000_000] {
            let world = World::fake(start);
            let mut drawn = Vec::new();
            for _ in 0..130 {
                drawn.push(world.ordered_token(4));
                world.advance(1);
            }
            assert!(drawn.is_sorted(), "{drawn:?}");
            assert!(
                drawn.iter().all(|token| token.len() == WHEN + 4 && token.bytes().all(|b| b.is_ascii_alphanumeric()))
            );
        }
    }

    #[test]
    fn every_character_of_the_charset_is_drawn_about_equally_often() {
        let mut counts = [0_u32; 256];
        for byte in World::real().token(62_000).bytes() {
            counts[usize::from(byte)] += 1;
        }
        for character in ALPHANUMERIC {
            // 1 000 expected, standard deviation 31: seven deviations do not happen by chance.
            let count = counts[usize::from(*character)];
            assert!((780..=1220).contains(&count), "`{}` drawn {count} times", char::from(*character));
        }
        assert_eq!(counts.iter().sum::<u32>(), 62_000);
    }

    #[test]
    fn codes_use_their_charset_and_length() {
        let world = World::real();
        for charset in ["0123456789", "A", "BCDFGHJKLMNPQRSTVWXZ"] {
            let code = world.digits(charset, 12);
            assert_eq!(code.len(), 12);
            assert!(code.chars().all(|c| charset.contains(c)), "{code}");
        }
        assert!(world.digits("", 6).bytes().all(|b| b.is_ascii_digit()));
        assert!(world.digits("é", 6).bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(world.token(0), "");
    }

    #[test]
    fn identifiers_are_lower_case_version_4() {
        let id = World::real().uuid();
        let parsed = uuid::Uuid::parse_str(&id).expect("a uuid");
        assert_eq!(parsed.get_version_num(), 4);
        assert_eq!(id, id.to_lowercase());
        assert_ne!(id, World::real().uuid());
    }
}
