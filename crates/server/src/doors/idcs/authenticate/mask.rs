//! Where a code goes, most of it hidden, as this dialect shows it (reference §3.4).

/// The country code, an `X` for each hidden digit, the last three; without a country code the first three stay.
pub fn phone(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let country = if number.trim_start().starts_with('+') { country_code(&digits) } else { 3 };
    let shown = country.min(digits.len().saturating_sub(3));
    let tail = digits.len().saturating_sub(3).max(shown);
    let mut text = String::with_capacity(digits.len() + 1);
    if number.trim_start().starts_with('+') {
        text.push('+');
    }
    text.extend(&digits[..shown]);
    text.extend(std::iter::repeat_n('X', tail - shown));
    text.extend(&digits[tail..]);
    text
}

/// How many digits the country code has (ITU-T E.164): those of one and two digits, every other has three.
fn country_code(digits: &[char]) -> usize {
    const TWO: [&str; 44] = [
        "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49",
        "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84",
        "86", "90", "91", "92", "93", "94", "95", "98",
    ];
    match digits {
        ['1' | '7', ..] => 1,
        [a, b, ..] if TWO.contains(&[*a, *b].iter().collect::<String>().as_str()) => 2,
        _ => 3,
    }
}

/// The first three characters of the name at most, four `X` however long it is, the domain.
pub fn mail(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else { return "XXXX".to_owned() };
    let shown: String = local.chars().take((local.chars().count() / 2).min(3)).collect();
    format!("{shown}XXXX@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_shows_its_country_and_its_end() {
        assert_eq!(phone("+441234567210"), "+44XXXXXXX210");
        assert_eq!(phone("+15550001234"), "+1XXXXXXX234");
        assert_eq!(phone("+352621123456"), "+352XXXXXX456");
        assert_eq!(phone("15550000034"), "155XXXXX034");
        assert_eq!(phone("12"), "12");
        assert_eq!(phone(""), "");
    }

    #[test]
    fn an_address_shows_its_beginning_and_its_domain() {
        assert_eq!(mail("t.user@example.com"), "t.uXXXX@example.com");
        assert_eq!(mail("al@example.com"), "aXXXX@example.com");
        assert_eq!(mail("alexandra@example.com"), "aleXXXX@example.com");
        assert_eq!(mail("nobody"), "XXXX");
    }
}
