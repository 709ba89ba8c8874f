//! Sets of addresses: one address, a block, or a range. IPv4-mapped IPv6 counts as IPv4 throughout.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// Addresses a condition names. Its text form is `address`, `address/length` or `low-high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Network {
    /// One address.
    Address(IpAddr),
    /// A block.
    Block(IpNet),
    /// Every address from `low` to `high`, both of one family.
    Range {
        /// The first.
        low: IpAddr,
        /// The last.
        high: IpAddr,
    },
}

/// The text names no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, `address/length` or `low-high`")]
pub struct NotANetwork;

impl Network {
    /// Whether the address is among them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Address(one) => *one == address,
            Self::Block(block) => block.contains(&address),
            Self::Range { low, high } => low.is_ipv4() == address.is_ipv4() && *low <= address && address <= *high,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let text = text.trim();
        if text.contains('/') {
            let block: IpNet = text.parse().map_err(|_| NotANetwork)?;
            return Ok(Self::Block(canonical(block)));
        }
        if let Some((low, high)) = text.split_once('-') {
            let (low, high) = (address(low)?, address(high)?);
            if low.is_ipv4() != high.is_ipv4() || low > high {
                return Err(NotANetwork);
            }
            return Ok(Self::Range { low, high });
        }
        Ok(Self::Address(address(text)?))
    }
}

fn address(text: &str) -> Result<IpAddr, NotANetwork> {
    text.trim().parse::<IpAddr>().map(|address| address.to_canonical()).map_err(|_| NotANetwork)
}

/// A block within `::ffff:0:0/96` is the IPv4 block it maps.
fn canonical(block: IpNet) -> IpNet {
    if let IpNet::V6(v6) = block
        && let Some(v4) = v6.network().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
        && let Ok(mapped) = Ipv4Net::new(v4, length)
    {
        return IpNet::V4(mapped);
    }
    block.trunc()
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(one) => one.fmt(f),
            Self::Block(block) => block.fmt(f),
            Self::Range { low, high } => write!(f, "{low}-{high}"),
        }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_form_contains_what_it_names() {
        for (network, address, expected) in [
            ("192.168.1.0/24", "192.168.1.20", true),
            ("192.168.1.77/24", "192.168.1.20", true),
            ("192.168.1.0/24", "192.168.2.1", false),
            ("192.168.1.0/24", "::ffff:192.168.1.20", true),
            ("::ffff:192.168.1.0/120", "192.168.1.20", true),
            ("::ffff:192.168.1.0/120", "192.168.2.20", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.5-10.0.1.5", "10.0.0.255", true),
            ("10.0.0.5 - 10.0.1.5", "10.0.1.5", true),
            ("10.0.0.5-10.0.1.5", "10.0.1.6", false),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::1-2001:db8::ff", "2001:db8::80", true),
            ("2001:db8::1-2001:db8::ff", "10.0.0.1", false),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "10.0.0.1", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
            assert_eq!(network.to_string().parse::<Network>().unwrap(), network);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "a", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "10.0.0.1/24/2", "10.0.0", "::1/129", "-"]
        {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }
}
