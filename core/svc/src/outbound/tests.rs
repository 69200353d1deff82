use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;
use qyv_spec::service::{HostAddress, Scheme};

use super::{Host, Outbound, Zone, zone_of};

fn outbound(grants: &[&str]) -> Outbound {
    Outbound::new(grants.iter().map(|text| text.parse::<HostAddress>().unwrap()), false)
}

fn anywhere() -> Outbound {
    Outbound::new([], true)
}

fn name(text: &str) -> Host {
    Host::new(text).unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_host_has_one_spelling() {
    let example = Host::Name("db.example.org".into());
    for text in ["db.example.org", "DB.Example.ORG", "db.example.org."] {
        assert_eq!(Host::new(text), Some(example.clone()), "{text}");
        assert_eq!(Host::with_port(&[text, ":80"].concat()), Some((example.clone(), 80)), "{text}");
    }
    assert_eq!(Host::new("[::1]"), Host::new("::1"));
    let home = Host::Number(Ipv4Addr::LOCALHOST.into());
    for text in ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"] {
        assert_eq!(Host::new(text), Some(home.clone()), "{text}");
    }
    for text in ["127.0.0.1:80", "[::ffff:7f00:1]:80"] {
        assert_eq!(Host::with_port(text), Some((home.clone(), 80)), "{text}");
    }
    let punycode = Host::Name("xn--bcher-kva.example".into());
    assert_eq!(Host::new("XN--Bcher-KVA.example"), Some(punycode));
}

#[test]
fn what_is_no_host_is_none() {
    let long = "a".repeat(300);
    let text = [
        "",
        ".",
        "..",
        "a..b",
        "a.b..",
        "bücher.example",
        "a b",
        "a\0",
        "a/b",
        "a@b",
        "127.1",
        "0x7f.1",
        "1",
        "2130706433",
        "[::1]x",
        "::1%lo",
        "a:80",
        "-a",
        "a_b",
        long.as_str(),
    ];
    for text in text {
        assert_eq!(Host::new(text), None, "{text:?}");
    }
    for text in
        ["", ":", "a", "a:", "a:0", "a:080", "a:65536", "a:80:80", "::1:80", "[::1]", ":80", "a@b:80", "a:+1"]
    {
        assert_eq!(Host::with_port(text), None, "{text:?}");
    }
}

#[test]
fn nothing_is_granted_by_default() {
    let none = Outbound::default();
    assert!(none.is_nothing() && !none.connects());
    for scheme in [Scheme::Tcp, Scheme::Http, Scheme::Https] {
        assert!(!none.allows(scheme, &name("example.org"), Some(80)));
        assert!(!none.allows(scheme, &name("1.1.1.1"), Some(80)));
        assert!(!none.allows_address(scheme, Some(&name("example.org")), address("1.1.1.1:80")));
    }
}

#[test]
fn a_name_is_granted_with_its_port_and_protocol() {
    let some =
        outbound(&["tcp://db.example.org:5432", "https://api.example.org", "http://old.example.org:8080"]);
    let (db, api, old) = (name("db.example.org"), name("api.example.org"), name("old.example.org"));
    assert!(some.allows(Scheme::Tcp, &db, Some(5432)) && some.allows(Scheme::Tcp, &db, None));
    assert!(!some.allows(Scheme::Tcp, &db, Some(5433)));
    // A connection carries any protocol.
    assert!(some.allows(Scheme::Http, &db, Some(5432)) && some.allows(Scheme::Https, &db, Some(5432)));
    assert!(some.allows(Scheme::Https, &api, Some(443)));
    // A request of one protocol is neither a connection nor one of another.
    assert!(!some.allows(Scheme::Tcp, &api, Some(443)) && !some.allows(Scheme::Tcp, &api, None));
    assert!(!some.allows(Scheme::Http, &api, Some(443)) && !some.allows(Scheme::Http, &api, Some(80)));
    assert!(some.allows(Scheme::Http, &old, Some(8080)) && !some.allows(Scheme::Https, &old, Some(8080)));
    for other in ["example.org", "x.db.example.org", "db.example.org.evil", "db-example.org"] {
        assert!(!some.allows(Scheme::Tcp, &name(other), None), "{other}");
    }
    assert!(some.listed().eq(["db.example.org:5432"]));
}

#[test]
fn a_name_reaches_private_networks_and_nothing_closer() {
    let (some, db) = (outbound(&["tcp://db.example.org:80"]), name("db.example.org"));
    let reached = |text: &str| some.allows_address(Scheme::Tcp, Some(&db), address(text));
    for good in ["1.1.1.1:80", "10.0.0.1:80", "[2606:4700::1]:80", "[fd12::1]:80", "[::ffff:10.0.0.1]:80"] {
        assert!(reached(good), "{good}");
        assert!(!some.allows_address(Scheme::Tcp, None, address(good)), "{good}");
        assert!(!some.allows_address(Scheme::Tcp, Some(&name("other.example")), address(good)), "{good}");
    }
    for bad in [
        "1.1.1.1:81",
        "1.1.1.1:0",
        "127.0.0.1:80",
        "[::1]:80",
        "169.254.169.254:80",
        "[fe80::1]:80",
        "0.0.0.0:80",
        "[::]:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "[::ffff:127.0.0.1]:80",
        "[::ffff:169.254.169.254]:80",
        "[::127.0.0.1]:80",
        "[2002:7f00:1::]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[fd00:ec2::254]:80",
        "100.100.100.200:80",
    ] {
        assert!(!reached(bad), "{bad}");
    }
}

#[test]
fn a_number_grants_exactly_that() {
    let some =
        outbound(&["tcp://127.0.0.1:9000", "tcp://169.254.169.254:80", "tcp://[::1]:7", "tcp://0.0.0.0:5"]);
    assert!(some.allows_address(Scheme::Tcp, None, address("127.0.0.1:9000")));
    assert!(some.allows_address(Scheme::Tcp, None, address("[::ffff:127.0.0.1]:9000")));
    assert!(some.allows_address(Scheme::Tcp, None, address("169.254.169.254:80")));
    assert!(some.allows_address(Scheme::Tcp, None, address("[::1]:7")));
    // Found under a name, too: but the name must be granted for it to be looked up.
    assert!(some.allows_address(Scheme::Tcp, Some(&name("a.example")), address("127.0.0.1:9000")));
    assert!(!some.allows(Scheme::Tcp, &name("a.example"), Some(9000)));
    for bad in
        ["127.0.0.1:9001", "127.0.0.2:9000", "[::1]:9000", "0.0.0.0:5", "127.0.0.1:5", "[::127.0.0.1]:9000"]
    {
        assert!(!some.allows_address(Scheme::Tcp, None, address(bad)), "{bad}");
    }
    assert!(
        some.allows(Scheme::Tcp, &name("127.0.0.1"), None)
            && !some.allows(Scheme::Tcp, &name("0.0.0.0"), None)
    );
}

#[test]
fn anywhere_is_the_public_internet() {
    let all = anywhere();
    assert!(all.allows(Scheme::Https, &name("example.org"), Some(1)) && all.connects() && !all.is_nothing());
    assert!(
        all.allows(Scheme::Tcp, &name("1.1.1.1"), None) && !all.allows(Scheme::Tcp, &name("10.0.0.1"), None)
    );
    for (text, reached) in
        [("1.1.1.1:25", true), ("10.0.0.1:80", false), ("127.0.0.1:80", false), ("[fd00::1]:80", false)]
    {
        for named in [None, Some(&name("example.org"))] {
            assert_eq!(all.allows_address(Scheme::Tcp, named, address(text)), reached, "{text}");
        }
    }
}

#[test]
fn what_is_missing_is_said_and_suffices() {
    let example = name("example.org");
    for (named, at, wanted) in [
        (Some(&example), "127.0.0.1:80", Some("tcp://127.0.0.1:80")),
        (Some(&example), "10.0.0.1:80", Some("tcp://example.org:80")),
        (Some(&example), "[fe80::1]:80", Some("tcp://[fe80::1]:80")),
        (None, "10.0.0.1:80", Some("tcp://10.0.0.1:80")),
        (None, "0.0.0.0:80", None),
    ] {
        let missing = Outbound::missing(Scheme::Tcp, named, address(at));
        assert_eq!(missing.as_ref().map(ToString::to_string).as_deref(), wanted);
        if let Some(missing) = missing {
            assert!(Outbound::new([missing], false).allows_address(Scheme::Tcp, named, address(at)), "{at}");
        }
    }
}

fn numbers() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_ipv6_mapped().into()),
        (0x2000u16..0x4000, any::<[u16; 7]>()).prop_map(|(first, rest)| {
            let [b, c, d, e, f, g, h] = rest;
            Ipv6Addr::new(first, b, c, d, e, f, g, h).into()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// By the library's own words for the kinds that it knows.
    #[test]
    fn what_counts_as_public_is_none_of_the_known_kinds(number in numbers()) {
        if zone_of(number) == Zone::Public {
            let canonical = number.to_canonical();
            prop_assert!(!canonical.is_loopback() && !canonical.is_unspecified() && !canonical.is_multicast());
            match canonical {
                IpAddr::V4(v4) => prop_assert!(
                    !v4.is_private() && !v4.is_link_local() && !v4.is_broadcast() && !v4.is_documentation()
                ),
                IpAddr::V6(v6) => prop_assert!(!v6.is_unique_local() && !v6.is_unicast_link_local()),
            }
        }
    }

    /// A grant of a number covers that number and port, unless it is no host, and nothing else.
    #[test]
    fn a_number_is_itself(number in numbers(), port in 1u16.., other in numbers(), other_port in 1u16..) {
        let grant = Host::Number(number.to_canonical()).address(Scheme::Tcp, port);
        prop_assert_eq!(grant.to_string().parse::<HostAddress>().unwrap(), grant.clone());
        let some = Outbound::new([grant], false);
        let reached = some.allows_address(Scheme::Tcp, None, SocketAddr::new(number, port));
        prop_assert_eq!(reached, zone_of(number) != Zone::Nowhere);
        if (other.to_canonical(), other_port) != (number.to_canonical(), port) {
            prop_assert!(!some.allows_address(Scheme::Tcp, None, SocketAddr::new(other, other_port)));
        }
    }

    /// Nobody gets closer by a name, whatever it stands for.
    #[test]
    fn no_name_reaches_what_is_closed(number in numbers(), port in 1u16.., any_host in any::<bool>()) {
        let example = name("example.org");
        let some = Outbound::new([example.address(Scheme::Tcp, port)], any_host);
        let reached = some.allows_address(Scheme::Tcp, Some(&example), SocketAddr::new(number, port));
        prop_assert_eq!(reached, zone_of(number) <= Zone::Private);
    }

    /// Reading never panics, and what is read reads back.
    #[test]
    fn any_text_is_read(text in ".{0,40}") {
        if let Some(host) = Host::new(&text) {
            prop_assert_eq!(Host::new(&host.to_string()), Some(host));
        }
        let _ = Host::with_port(&text);
    }
}

#[test]
fn listed_hosts_read_back() {
    let some = outbound(&["tcp://[::1]:80", "tcp://b.example:2", "tcp://b.example:1", "https://c.example"]);
    let listed: Vec<_> = some.listed().collect();
    assert_eq!(listed, ["b.example:1", "b.example:2", "[::1]:80"]);
    assert!(listed.iter().all(|text| Host::with_port(text).is_some()));
    assert!(some.ports(&name("b.example")).eq([1, 2]) && some.ports(&name("c.example")).next().is_none());
}

#[test]
fn within_another_only_what_both_allow_is_reached() {
    let (public, private, local) =
        (address("93.184.216.34:80"), address("10.0.0.7:80"), address("127.0.0.1:80"));
    let db = name("db.example.org");
    let named = || outbound(&["tcp://db.example.org:80", "tcp://127.0.0.1:80"]);
    // An app that may reach private addresses by a name does not bring that to one that may reach the internet.
    for both in [named().within(anywhere()), anywhere().within(named())] {
        assert!(
            both.allows(Scheme::Tcp, &db, Some(80)) && both.allows_address(Scheme::Tcp, Some(&db), public)
        );
        assert!(!both.allows_address(Scheme::Tcp, Some(&db), private));
        assert!(!both.allows_address(Scheme::Tcp, None, local));
        assert!(!both.allows(Scheme::Tcp, &name("other.org"), Some(80)));
    }
    assert_eq!(named().within(anywhere()).listed().collect::<Vec<_>>(), ["db.example.org:80"]);
    // Each of a chain counts, wherever in it the narrow one stands.
    let web = || outbound(&["https://db.example.org"]);
    for narrow in [
        named().within(anywhere()).within(web()),
        web().within(anywhere()).within(named()),
        anywhere().within(web().within(named())),
    ] {
        assert!(!narrow.allows(Scheme::Tcp, &db, Some(80)) && !narrow.allows(Scheme::Tcp, &db, Some(443)));
        assert!(!narrow.allows_address(Scheme::Tcp, Some(&db), public));
    }
    assert!(anywhere().within(Outbound::default()).is_nothing());
    assert!(!anywhere().within(web()).connects() && anywhere().within(named()).connects());
}
