// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The rules by which kube-proxy directs packets to services, in its three
//! modes, and the packets: each is of a new flow, or opens a connection, because
//! connection tracking remembers what the rules have said of the first packet.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};

use nix::time::{ClockId, clock_gettime};
use testlab::links::Link;
use testlab::tcp::echo;
use testlab::{Family, Ns, PATIENCE, sh};

use crate::pace::{Pace, QUIET};

/// How many services there are. Those that are used are the last ones: rules are
/// compared one after the other.
const SERVICES: u32 = 5000;
const SERVICE_PORT: u16 = 80;
const BACKEND_PORT: u16 = 8080;
/// Source ports of datagrams, one after the other: when one comes up again,
/// connection tracking has long forgotten it.
const SOURCE_PORTS: std::ops::Range<u16> = 10000..60000;
/// Datagrams a second, at most: so many ports for each second of uptime are
/// passed over at the start, so that none of them is one that was used in the
/// last minutes.
const FASTEST: f64 = 100.0;

/// The services that are used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    /// UDP, to a pod: in the namespace inner, and the right one forwards.
    Forwarded,
    /// UDP, to a socket of the right namespace.
    LocalUdp,
    /// TCP, to one of its sockets.
    LocalTcp,
}

impl Used {
    const ALL: [Used; 3] = [Used::Forwarded, Used::LocalUdp, Used::LocalTcp];

    /// The service's number.
    fn number(self) -> u32 {
        SERVICES - 3 + self as u32
    }

    fn at(self) -> SocketAddr {
        (address(self.number()), SERVICE_PORT).into()
    }

    fn protocol(self) -> &'static str {
        match self {
            Used::LocalTcp => "tcp",
            Used::Forwarded | Used::LocalUdp => "udp",
        }
    }

    fn backend(self) -> SocketAddr {
        match self {
            Used::Forwarded => Link::Routed.way(Family::V4, BACKEND_PORT).at,
            Used::LocalUdp | Used::LocalTcp => Ns::Right.at(Family::V4, BACKEND_PORT),
        }
    }
}

/// Of a service.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 96, 0, 1)) + number)
}

struct Service {
    number: u32,
    address: Ipv4Addr,
    protocol: &'static str,
    backend: SocketAddr,
    used: Option<Used>,
}

fn services() -> impl Iterator<Item = Service> {
    (0..SERVICES).map(|number| {
        let used = Used::ALL.into_iter().find(|used| used.number() == number);
        // Nobody's address, for those that are not used.
        let nobody = SocketAddr::from(([10, 2, 0, 9], BACKEND_PORT));
        Service {
            number,
            address: address(number),
            protocol: used.map_or("tcp", Used::protocol),
            backend: used.map_or(nobody, Used::backend),
            used,
        }
    })
}

/// A mode of kube-proxy. The rules of all are loaded, and no packet comes to
/// them before they are turned on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Iptables,
    Nft,
    /// Takes what neither of the others has taken, so that it needs not be
    /// turned on: its services are addresses of the host.
    Ipvs,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Iptables => "iptables",
            Mode::Nft => "nftables",
            Mode::Ipvs => "ipvs",
        }
    }

    pub fn load(self) -> Result<()> {
        let (rules, script) = match self {
            Mode::Iptables => (iptables(), "iptables-legacy-restore iptables.rules"),
            Mode::Nft => (nft(), "nft -f nftables.rules"),
            Mode::Ipvs => (ipvs(), "ipvsadm --restore <ipvs.rules"),
        };
        fs::write(format!("{}.rules", self.name()), rules)?;
        match self {
            Mode::Iptables => {
                write_jumps("jump", "-I")?;
                write_jumps("return", "-D")?;
            }
            Mode::Nft => (),
            Mode::Ipvs => {
                let addresses = services()
                    .map(|service| format!("addr add {}/32 dev kube-ipvs0\n", service.address));
                fs::write("addresses", addresses.collect::<String>())?;
                sh("modprobe -a ip_vs ip_vs_rr
                    ip -n right link add kube-ipvs0 type dummy
                    ip -n right -batch addresses
                    ip netns exec right sysctl -qw net.ipv4.vs.conntrack=1");
            }
        }
        sh(&format!("ip netns exec right sh -c '{script}'"));
        Ok(())
    }

    /// What turns it on, and off again.
    pub fn commands(self) -> [&'static str; 2] {
        match self {
            Mode::Iptables => [
                "ip netns exec right iptables-legacy-restore --noflush jump",
                "ip netns exec right iptables-legacy-restore --noflush return",
            ],
            Mode::Nft => [
                "for chain in prerouting output; do ip netns exec right \
                 nft add rule ip kube-proxy $chain jump services; done",
                "for chain in prerouting output; do ip netns exec right \
                 nft flush chain ip kube-proxy $chain; done",
            ],
            Mode::Ipvs => ["true", "true"],
        }
    }
}

/// Both in one go, as each change of a table copies all of it.
fn write_jumps(file: &str, how: &str) -> Result<()> {
    let rules = ["PREROUTING", "OUTPUT"].map(|chain| {
        format!(
            "{how} {chain} -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
        )
    });
    let [prerouting, output] = rules;
    Ok(fs::write(
        file,
        format!("*nat\n{prerouting}{output}COMMIT\n"),
    )?)
}

/// As kube-proxy writes them: a rule, a chain for the service, and one for its
/// only endpoint.
fn iptables() -> String {
    let mut rules = String::from("*nat\n:KUBE-SERVICES - [0:0]\n");
    for Service { number: n, .. } in services() {
        rules += &format!(":KUBE-SVC-{n:012} - [0:0]\n:KUBE-SEP-{n:012} - [0:0]\n");
    }
    for service in services() {
        let Service {
            number: n,
            address,
            protocol,
            backend,
            ..
        } = service;
        rules += &format!(
            "-A KUBE-SERVICES -d {address}/32 -p {protocol} -m comment --comment \"default/{n} \
             cluster IP\" -m {protocol} --dport {SERVICE_PORT} -j KUBE-SVC-{n:012}\n\
             -A KUBE-SVC-{n:012} -m comment --comment \"default/{n} -> {backend}\" \
             -j KUBE-SEP-{n:012}\n\
             -A KUBE-SEP-{n:012} -p {protocol} -m comment --comment \"default/{n}\" \
             -m {protocol} -j DNAT --to-destination {backend}\n"
        );
    }
    rules + "COMMIT\n"
}

/// All services are in the map, as kube-proxy has them. Unlike kube-proxy's,
/// only those that are used have a chain of their own: nft takes minutes to load
/// 10,000 chains in an emulated guest, and packets do not come by at the others.
fn nft() -> String {
    let mut chains = String::from("chain unused { drop; }\n");
    let mut elements = String::new();
    for service in services() {
        let Service {
            number,
            address,
            protocol,
            backend,
            used,
        } = service;
        let mut chain = String::from("unused");
        if used.is_some() {
            chain = format!("service-{number}");
            chains += &format!(
                "chain endpoint-{number} {{ meta l4proto {protocol} dnat to {backend}; }}\n\
                 chain {chain} {{ goto endpoint-{number}; }}\n"
            );
        }
        elements += &format!("{address} . {protocol} . {SERVICE_PORT} : goto {chain},\n");
    }
    format!(
        "table ip kube-proxy {{
        {chains}
        map service-ips {{
            type ipv4_addr . inet_proto . inet_service : verdict
            elements = {{ {elements} }}
        }}
        chain services {{ ip daddr . meta l4proto . th dport vmap @service-ips; }}
        chain prerouting {{ type nat hook prerouting priority dstnat; }}
        chain output {{ type nat hook output priority -100; }}
        }}"
    )
}

/// With masquerading (`-m`), which is what kube-proxy asks for: the packet goes
/// to the endpoint's address and port.
fn ipvs() -> String {
    let lines = services().map(|service| {
        let option = &service.protocol[..1];
        let at = SocketAddr::from((service.address, SERVICE_PORT));
        format!(
            "-A -{option} {at} -s rr\n-a -{option} {at} -r {} -m\n",
            service.backend
        )
    });
    lines.collect()
}

/// Where a client in the left namespace sends what is for a service.
pub fn route() {
    sh("ip -n left route add 10.96.0.0/16 via 10.0.0.2");
}

/// What is sent to the services, from the left namespace.
#[derive(Args, Clone, Debug)]
pub struct Clients {
    kind: Kind,
    /// So many a second of each
    #[arg(long, default_value_t = 60.0)]
    rate: f64,
    /// Datagrams in all, which must all come (default: until it is killed)
    #[arg(long)]
    count: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Datagrams to a pod
    Forwarded,
    /// Datagrams to a socket of the host, and connections to one
    Local,
}

impl Clients {
    pub fn run(&self) -> Result<()> {
        let (ended, end) = channel();
        match self.kind {
            Kind::Forwarded => self.datagrams(Used::Forwarded, Ns::Inner, &ended)?,
            Kind::Local => {
                self.datagrams(Used::LocalUdp, Ns::Right, &ended)?;
                self.connections(&ended)?;
            }
        }
        end.recv()?
    }

    /// The receiver of one, and its sender.
    fn datagrams(&self, to: Used, ns: Ns, ended: &Sender<Result<()>>) -> Result<()> {
        let rx = ns.run(|| UdpSocket::bind(to.backend()))?;
        let (came, coming) = channel();
        start(ended, move || {
            loop {
                let n = rx.recv(&mut [0; 64])?;
                ensure!(n == 32, "a datagram of {n} bytes");
                came.send(())?;
            }
        });
        let clients = self.clone();
        start(ended, move || clients.send(to, &coming));
        Ok(())
    }

    fn send(&self, to: Used, coming: &Receiver<()>) -> Result<()> {
        Ns::Left.enter();
        let mut pace = Pace::new(self.rate, to as u64);
        ensure!(self.rate <= FASTEST, "at most {FASTEST} a second");
        let uptime = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        let used = (uptime.as_secs_f64() * FASTEST) as usize % SOURCE_PORTS.len();
        let mut ports = SOURCE_PORTS.cycle().skip(used);
        let Some(count) = self.count else {
            loop {
                pace.wait();
                send_from(&mut ports, to)?;
            }
        };
        std::thread::sleep(QUIET);
        for _ in 0..count {
            pace.wait();
            send_from(&mut ports, to)?;
        }
        for number in 0..count {
            let came = coming.recv_timeout(PATIENCE);
            came.with_context(|| format!("of {count} datagrams {number} came"))?;
        }
        std::thread::sleep(QUIET);
        Ok(())
    }

    /// Each is opened, used once to and fro, and closed.
    fn connections(&self, ended: &Sender<Result<()>>) -> Result<()> {
        let to = Used::LocalTcp;
        let listener = Ns::Right.run(|| TcpListener::bind(to.backend()))?;
        start(ended, move || {
            for stream in listener.incoming() {
                echo(stream?)?;
            }
            Ok(())
        });
        let mut pace = Pace::new(self.rate, to as u64);
        start(ended, move || {
            Ns::Left.enter();
            loop {
                pace.wait();
                let mut data = [7; 32];
                let mut stream = match TcpStream::connect(to.at()) {
                    // Between two periods no mode is on.
                    Err(error) if error.kind() == ErrorKind::NetworkUnreachable => continue,
                    connected => connected?,
                };
                stream.write_all(&data)?;
                stream.read_exact(&mut data)?;
            }
        });
        Ok(())
    }
}

fn start(ended: &Sender<Result<()>>, work: impl FnOnce() -> Result<()> + Send + 'static) {
    let ended = ended.clone();
    std::thread::spawn(move || ended.send(work()));
}

/// Each from a port of its own.
fn send_from(ports: &mut impl Iterator<Item = u16>, to: Used) -> Result<()> {
    let from = Ns::Left.at(Family::V4, ports.next().context("a port")?);
    let tx = UdpSocket::bind(from).with_context(|| from.to_string())?;
    tx.send_to(&[7; 32], to.at())?;
    Ok(())
}
