//! The default gateway, from the kernel's routing tables: on a node that was booted over the
//! network it is the IPS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Route is usable (`include/uapi/linux/route.h`: `RTF_UP`).
const UP: u32 = 1;
/// Route has a gateway (`RTF_GATEWAY`).
const GATEWAY: u32 = 2;

/// Port 80 of the default gateway, IPv4 before IPv6.
pub(crate) fn default_gateway() -> Option<SocketAddr> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    if let Some(address) = ipv4(&read("/proc/net/route")) {
        return Some(SocketAddr::new(IpAddr::V4(address), 80));
    }
    let (address, link) = ipv6(&read("/proc/net/ipv6_route"))?;
    // A link-local address means something on its link only.
    let index = read(&format!("/sys/class/net/{link}/ifindex"))
        .trim()
        .parse();
    let scope = index.ok().filter(|_| address.is_unicast_link_local());
    Some(SocketAddrV6::new(address, 80, 0, scope.unwrap_or(0)).into())
}

/// The gateway of the default route with the smallest metric.
fn ipv4(table: &str) -> Option<Ipv4Addr> {
    // Iface Destination Gateway  Flags RefCnt Use Metric Mask
    // eth0  00000000    010200C0 0003  0      0   100    00000000 0 0 0
    let routes = table.lines().skip(1).filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, "00000000", gateway, flags, _, _, metric, "00000000", ..] = words.as_slice() else {
            return None;
        };
        is_gateway(flags)?;
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        // The kernel prints the address as it lies in memory.
        Some((
            metric.parse::<u32>().ok()?,
            Ipv4Addr::from(gateway.to_ne_bytes()),
        ))
    });
    routes.min().map(|(_, address)| address)
}

/// As [`ipv4`], with the name of the link.
fn ipv6(table: &str) -> Option<(Ipv6Addr, String)> {
    // destination plen source plen next-hop metric refcnt use flags iface
    let routes = table.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [net, "00", _, _, hop, metric, _, _, flags, link] = words.as_slice() else {
            return None;
        };
        is_gateway(flags).filter(|()| net.bytes().all(|byte| byte == b'0'))?;
        let hop = Ipv6Addr::from(u128::from_str_radix(hop, 16).ok()?);
        let metric = u32::from_str_radix(metric, 16).ok()?;
        Some((metric, hop, (*link).to_owned()))
    });
    routes.min().map(|(_, address, link)| (address, link))
}

/// Whether the route is in use and leads through a gateway.
fn is_gateway(flags: &str) -> Option<()> {
    let flags = u32::from_str_radix(flags, 16).ok()?;
    (flags & (UP | GATEWAY) == UP | GATEWAY).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    #[test]
    fn the_default_route_with_the_smallest_metric_wins() {
        let table = format!(
            "{HEAD}eth1\t00000000\t010200C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n\
             eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
        );
        assert_eq!(ipv4(&table), Some(Ipv4Addr::new(192, 168, 1, 1)));
    }

    #[test]
    fn a_table_without_a_gateway_has_none() {
        assert_eq!(ipv4(HEAD), None);
        assert_eq!(ipv4(""), None);
        assert_eq!(ipv4("x\neth0 00000000 zz 0003 0 0 0 00000000"), None);
    }

    #[test]
    fn an_ipv6_gateway_is_found_with_its_link() {
        let zero = "0".repeat(32);
        let line = |hop: &str, metric: u32| {
            format!("{zero} 00 {zero} 00 {hop} {metric:08x} 00000001 00000000 00000003     eth0\n")
        };
        let global = line("20010db8000000000000000000000001", 1024);
        let local = line("fe800000000000000000000000000001", 512);
        let found = |table: &str| ipv6(table).map(|(address, link)| format!("{address} {link}"));
        assert_eq!(found(&global).unwrap(), "2001:db8::1 eth0");
        assert_eq!(found(&(global + &local)).unwrap(), "fe80::1 eth0");
        assert_eq!(found(""), None);
    }
}
