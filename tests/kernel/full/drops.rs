// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Datagrams that find their socket's receive queue full: the kernel drops
//! them, and they are counted as dropped and not as enqueued.

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBuf;

use testlab::counters::Snmp;
use testlab::tool::Tool;
use testlab::udp::Flow;
use testlab::{Family, udp};

const N: u64 = 100;
/// Bytes, for a few datagrams with what the kernel keeps of each.
const SMALL: usize = 4096;

#[test]
fn a_full_receive_queue() {
    let hooks = "udp-queue-rcv,udp-socket-enqueued,udp-socket-read";
    let tool = Tool::start(&["-r", "1", "-e", hooks]);
    let warm = udp::until_stamped(true);
    let before = Snmp::read();
    let mut read = 0;
    for (family, port) in Family::BOTH.into_iter().zip([8350, 8351]) {
        let flow = Flow::open(family, port);
        setsockopt(&flow.rx, RcvBuf, &SMALL).expect("SO_RCVBUF");
        (0..N).for_each(|number| flow.send(number));
        Snmp::at_rest();
        flow.rx.set_nonblocking(true).expect("O_NONBLOCK");
        while flow.rx.recv(&mut [0; 8]).is_ok() {
            read += 1;
        }
    }
    let after = Snmp::read();
    let run = tool.finish();
    let dropped = after.since(&before, &["Udp.RcvbufErrors", "Udp6.RcvbufErrors"]);
    println!("{} sent, {read} read, {dropped} dropped", 2 * N);
    assert_eq!(read + dropped, 2 * N);
    assert!(read > 0 && dropped > N, "nothing was dropped, or all");
    assert_eq!(run.hook("udp-queue-rcv").count, 2 * N + warm.with);
    let enqueued = run.hook("udp-socket-enqueued");
    assert_eq!(enqueued.count, read + warm.with, "{:?}", enqueued.skipped);
    assert_eq!(enqueued.skip("dropped"), dropped);
    assert_eq!(run.hook("udp-socket-read").count, read + warm.with);
}
