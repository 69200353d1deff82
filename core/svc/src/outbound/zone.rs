//! What an address is, by its number alone.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address lies, the safest first.
///
/// Addresses of version 6 that carry one of version 4 (mapped, 6to4, NAT64, Teredo, ISATAP) lie where that lies, if it is
/// less safe: what translates them may be anywhere on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Zone {
    /// The public internet.
    Public,
    /// A private network: RFC 1918, shared addresses of providers (RFC 6598), unique local addresses (RFC 4193), site-local
    /// ones, and networks for benchmarks.
    Private,
    /// This machine, its link, the metadata service of its cloud, and all that is set aside or not assigned.
    Closed,
    /// No host: the unspecified address, multicast, broadcast. (To connect to `0.0.0.0` is to connect to this machine.)
    Nowhere,
}

/// Services of clouds for their guests (credentials among them) at addresses that look like any other.
const METADATA_V4: [Ipv4Addr; 2] = [
    // Alibaba Cloud, among the shared addresses.
    Ipv4Addr::new(100, 100, 100, 200),
    // Azure, among the public ones.
    Ipv4Addr::new(168, 63, 129, 16),
];

/// The same of version 6, as address and length of prefix.
const METADATA_V6: [(Ipv6Addr, u32); 3] = [
    // AWS: its metadata, names and time.
    (Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0), 32),
    // Google Cloud.
    (Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0), 32),
    // Scaleway.
    (Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042), 128),
];

/// What is not public of version 4, as address and length of prefix; the first that fits counts.
const RANGES_V4: [(Ipv4Addr, u32, Zone); 19] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, Zone::Nowhere),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Zone::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Zone::Private),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Zone::Closed),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Zone::Closed),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Zone::Private),
    // Protocol assignments, with the metadata service of some clouds.
    (Ipv4Addr::new(192, 0, 0, 0), 24, Zone::Closed),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Zone::Closed),
    // Relays from 6to4.
    (Ipv4Addr::new(192, 88, 99, 0), 24, Zone::Closed),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Zone::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Zone::Private),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Zone::Closed),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Zone::Closed),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Zone::Nowhere),
    (Ipv4Addr::BROADCAST, 32, Zone::Nowhere),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Zone::Closed),
    // Direct delegation AS112: names of private addresses are asked for there.
    (Ipv4Addr::new(192, 31, 196, 0), 24, Zone::Closed),
    (Ipv4Addr::new(192, 52, 193, 0), 24, Zone::Closed),
    (Ipv4Addr::new(192, 175, 48, 0), 24, Zone::Closed),
];

/// The same of version 6, without what carries an address of version 4.
const RANGES_V6: [(Ipv6Addr, u32, Zone); 9] = [
    (Ipv6Addr::UNSPECIFIED, 128, Zone::Nowhere),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Zone::Nowhere),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Zone::Private),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, Zone::Private),
    // Teredo is told apart before.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Zone::Closed),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32, Zone::Closed),
    (Ipv6Addr::new(0x2620, 0x004f, 0x8000, 0, 0, 0, 0, 0), 48, Zone::Closed),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Zone::Closed),
    // All of the public internet so far.
    (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, Zone::Public),
];

/// Where an address lies.
#[must_use]
pub fn zone_of(address: IpAddr) -> Zone {
    match address.to_canonical() {
        IpAddr::V4(v4) => zone_of_v4(v4),
        IpAddr::V6(v6) => carried(v6).map_or_else(
            || zone_of_v6(v6),
            |(zone, inner)| inner.into_iter().map(zone_of_v4).fold(zone, Zone::max),
        ),
    }
}

fn zone_of_v4(address: Ipv4Addr) -> Zone {
    if METADATA_V4.contains(&address) {
        return Zone::Closed;
    }
    let within = |base: Ipv4Addr, length: u32| (address.to_bits() ^ base.to_bits()).leading_zeros() >= length;
    let range = RANGES_V4.iter().find(|(base, length, _)| within(*base, *length));
    range.map_or(Zone::Public, |(_, _, zone)| *zone)
}

fn zone_of_v6(address: Ipv6Addr) -> Zone {
    let within = |base: Ipv6Addr, length: u32| (address.to_bits() ^ base.to_bits()).leading_zeros() >= length;
    if METADATA_V6.iter().any(|(base, length)| within(*base, *length)) {
        return Zone::Closed;
    }
    let range = RANGES_V6.iter().find(|(base, length, _)| within(*base, *length));
    range.map_or(Zone::Closed, |(_, _, zone)| *zone)
}

/// The addresses of version 4 that one of version 6 carries, and the safest place where it may lie itself.
fn carried(address: Ipv6Addr) -> Option<(Zone, [Ipv4Addr; 2])> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let segments = address.segments();
    let [.., high, low] = segments;
    let last = v4(high, low);
    match segments {
        // The unspecified address and loopback are not of the kind.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // IPv4-compatible, which nobody uses any more.
        [0, 0, 0, 0, 0, 0, ..] => Some((Zone::Closed, [last; 2])),
        // NAT64, and the prefix for translators of one's own (RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some((Zone::Public, [last; 2])),
        [0x64, 0xff9b, 1, ..] => Some((Zone::Closed, [last; 2])),
        // 6to4.
        [0x2002, high, low, ..] => Some((Zone::Public, [v4(high, low); 2])),
        // Teredo: the server, and the client in disguise.
        [0x2001, 0, high, low, ..] => {
            Some((Zone::Public, [v4(high, low), Ipv4Addr::from_bits(!last.to_bits())]))
        }
        // ISATAP, in any network.
        [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => Some((zone_of_v6(address), [last; 2])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> Zone {
        zone_of(text.parse().unwrap())
    }

    #[test]
    fn addresses_of_version_4() {
        for (zone_, list) in [
            (
                Zone::Public,
                &["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"][..],
            ),
            (
                Zone::Public,
                &["126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255"],
            ),
            (Zone::Public, &["172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255"]),
            (Zone::Public, &["198.20.0.0", "223.255.255.255", "168.63.129.15", "168.63.129.17"]),
            (Zone::Private, &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0"]),
            (
                Zone::Private,
                &["192.168.255.255", "100.64.0.0", "100.127.255.255", "198.18.0.0", "198.19.255.255"],
            ),
            (Zone::Closed, &["127.0.0.0", "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254"]),
            (Zone::Closed, &["169.254.255.255", "192.0.0.0", "192.0.0.192", "192.0.2.1", "192.88.99.1"]),
            (Zone::Closed, &["198.51.100.1", "203.0.113.1", "240.0.0.0", "255.255.255.254"]),
            (Zone::Closed, &["100.100.100.200", "168.63.129.16"]),
            (Zone::Nowhere, &["0.0.0.0", "0.0.0.1", "0.255.255.255", "224.0.0.0", "239.255.255.255"]),
            (Zone::Nowhere, &["255.255.255.255"]),
        ] {
            for text in list {
                assert_eq!(zone(text), zone_, "{text}");
            }
        }
    }

    #[test]
    fn addresses_of_version_6() {
        for (zone_, list) in [
            (Zone::Public, &["2606:4700::1111", "2001:4860:4860::8888", "2a00::1", "2400::", "3ffe::1"][..]),
            (
                Zone::Private,
                &["fc00::1", "fd00::1", "fdff:ffff::1", "fec0::1", "fd00:42::41", "fd00:ec1::254"],
            ),
            (Zone::Closed, &["::1", "fe80::1", "febf::1", "100::1", "2001:db8::1", "2001:2::1", "3fff::1"]),
            (Zone::Closed, &["4000::1", "5f00::1", "fb00::1", "1::", "::2:0:0:0"]),
            (Zone::Closed, &["fd00:ec2::254", "fd00:ec2::253", "fd20:ce::254", "fd00:42::42"]),
            (Zone::Nowhere, &["::", "ff02::1", "ff0e::1"]),
        ] {
            for text in list {
                assert_eq!(zone(text), zone_, "{text}");
            }
        }
    }

    /// Every way to write an address of version 4 in one of version 6 is at most as safe as that.
    #[test]
    fn what_carries_an_address_is_where_that_is() {
        let samples = [
            "1.1.1.1",
            "10.0.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "100.100.100.200",
            "240.0.0.1",
        ];
        for sample in samples {
            let inner: Ipv4Addr = sample.parse().unwrap();
            let (bits, plain) = (inner.to_bits(), zone(sample));
            let (high, low) = ((bits >> 16) as u16, bits as u16);
            let mapped = inner.to_ipv6_mapped();
            assert_eq!(zone_of(mapped.into()), plain, "{mapped}");
            let exact = [
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0x0101, 0x0101, 0, 0, !high, !low),
                Ipv6Addr::new(0x2001, 0, high, low, 0, 0, !0x0101, !0x0101),
                Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0x5efe, high, low),
                Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0x0200, 0x5efe, high, low),
            ];
            for address in exact {
                assert_eq!(zone_of(address.into()), plain, "{address} of {sample}");
            }
            let closed = [
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0x5efe, high, low),
                // Translated (SIIT).
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            ];
            for address in closed {
                assert!(zone_of(address.into()) >= Zone::Closed, "{address} of {sample}");
            }
            if bits > 1 {
                assert!(
                    zone_of(Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low).into()) >= Zone::Closed,
                    "::{sample}"
                );
            }
        }
    }
}
