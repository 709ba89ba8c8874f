//! Where a request came from. Owns which hop of `X-Forwarded-For` is believed; does not decide what follows from it.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Hops of a forwarding chain that are looked at.
const MOST_HOPS: usize = 32;

/// The proxies in front of the server: their word on whom they speak for is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// The proxies within these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client's address: the peer itself, unless it is a trusted proxy; then the rightmost hop of
    /// `X-Forwarded-For` that is none.
    ///
    /// Everything to the left of that hop was written by strangers. A hop that cannot be read ends the search at the
    /// last proxy that vouched for it: what stands to its left is no better.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if self.0.is_empty() || !self.contains(peer) {
            return peer;
        }
        let lines = headers.get_all("x-forwarded-for");
        let mut last = peer;
        // Several header lines are one list, in order (RFC 9110 §5.3).
        let lines: Vec<_> = lines.iter().map(|line| line.to_str().unwrap_or("")).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')).take(MOST_HOPS) {
            let Some(address) = read(hop.trim()) else { break };
            last = address;
            if !self.contains(address) {
                break;
            }
        }
        last
    }
}

/// One hop: an address, bare or with a port.
fn read(hop: &str) -> Option<IpAddr> {
    let bare = || hop.parse::<IpAddr>().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    bare().or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let proxies = TrustedProxies::new(trusted.iter().map(|net| net.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_stranger_cannot_name_its_own_address() {
        assert_eq!(client(&[], "203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
    }

    #[test]
    fn the_rightmost_hop_that_is_no_proxy_counts() {
        let trusted = ["10.0.0.0/8", "2001:db8:1::/48"];
        assert_eq!(client(&trusted, "10.0.0.1", &["1.1.1.1, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(client(&trusted, "10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.2.2.2"]), "198.51.100.7");
        assert_eq!(client(&trusted, "10.0.0.1", &["1.1.1.1", "198.51.100.7,10.2.2.2"]), "198.51.100.7");
        assert_eq!(client(&trusted, "2001:db8:1::1", &["[2001:db8:2::9]:443"]), "2001:db8:2::9");
        assert_eq!(client(&trusted, "10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
    }

    #[test]
    fn without_a_believable_hop_the_last_proxy_stands() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(client(&trusted, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client(&trusted, "10.0.0.1", &["unknown"]), "10.0.0.1");
        assert_eq!(client(&trusted, "10.0.0.1", &["8.8.8.8, _hidden, 10.3.3.3"]), "10.3.3.3");
        assert_eq!(client(&trusted, "10.0.0.1", &["10.4.4.4, 10.3.3.3"]), "10.4.4.4");
    }

    #[test]
    fn an_address_mapped_into_ipv6_is_the_ipv4_one() {
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
        assert_eq!(client(&[], "::ffff:198.51.100.7", &[]), "198.51.100.7");
    }
}
