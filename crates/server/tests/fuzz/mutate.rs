//! How good input becomes bad: seeded, so that the same seed gives the same inputs on every machine.

/// What parsers trip over.
const TRAPS: [&[u8]; 30] = [
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xe2\x80\xae",
    b"%",
    b"%00",
    b"%zz",
    b"+",
    b"&&",
    b"==",
    b"~",
    b".",
    b"..",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":{\"a\":",
    b"((((((((((((((((((((((((",
    b" and ",
    b" or not ",
    b"-1",
    b"1e999",
    b"9223372036854775808",
    b"null",
    b"\r\n",
    b"\n[",
    b"'",
    "\u{1F600}\u{0301}".as_bytes(),
];
const LONGEST: usize = 64 * 1024;

/// A generator of damaged input.
pub struct Mutator(u64);

impl Mutator {
    /// Another name gives another sequence.
    pub fn new(seed: u64, name: &str) -> Self {
        let start = name
            .bytes()
            .fold(seed ^ 0x9e37_79b9_7f4a_7c15, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(start | 1)
    }

    /// xorshift64*.
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.draw() >> 33).unwrap() % limit.max(1)
    }

    /// One of the corpus, changed in one to eight places.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input, corpus);
            input.truncate(LONGEST);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below(input.len() - at + 1);
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 => input.truncate(at),
            2 => drop(input.drain(at..end)),
            3 => {
                let part = input[at..end].to_vec();
                let times = 1 + self.below(20);
                input.splice(at..at, part.repeat(times).into_iter().take(LONGEST));
            }
            4 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                let to = from + self.below(other.len() - from + 1);
                input.splice(at..end, other[from..to].iter().copied());
            }
            5 => {
                let byte = u8::try_from(self.below(256)).unwrap();
                input.insert(at, byte);
            }
            6 => input[at..end].reverse(),
            _ => {
                let trap = TRAPS[self.below(TRAPS.len())];
                let times = if self.below(8) == 0 { 200 } else { 1 };
                input.splice(at..at, trap.repeat(times));
            }
        }
    }
}
