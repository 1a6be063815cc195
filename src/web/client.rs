//! The address that a request comes from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request};

/// The client's address: the other end of the connection or, if that is a proxy of ours, the
/// last address in `X-Forwarded-For` that is none.
pub(super) fn client(request: &Request, proxies: &[IpAddr]) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| {
        peer.0.ip().to_canonical()
    });
    if !proxies.contains(&peer) {
        return peer;
    }
    let forwarded = request.headers().get_all("x-forwarded-for").into_iter();
    let addresses: Vec<&str> = forwarded
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .collect();
    let addresses = addresses.iter().rev().map_while(|text| {
        let address: IpAddr = text.trim().parse().ok()?;
        Some(address.to_canonical())
    });
    let mut client = peer;
    for address in addresses {
        client = address;
        if !proxies.contains(&address) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_a_trusted_proxy_names_the_client() {
        let proxies: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        for (peer, forwarded, expected) in [
            ("192.0.2.9", "1.1.1.1", "192.0.2.9"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
            ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
            ("::ffff:10.0.0.1", "1.1.1.1", "1.1.1.1"),
            ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"),
        ] {
            let peer = SocketAddr::new(peer.parse().unwrap(), 1);
            let mut request = Request::new(Body::empty());
            request.extensions_mut().insert(ConnectInfo(peer));
            if !forwarded.is_empty() {
                request
                    .headers_mut()
                    .insert("x-forwarded-for", forwarded.parse().unwrap());
            }
            let found = client(&request, &proxies);
            assert_eq!(found.to_string(), expected, "{peer} {forwarded}");
        }
    }
}
