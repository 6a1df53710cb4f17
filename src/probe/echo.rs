//! PURE: ICMP echo requests as octets, and whose reply the octets that come back are (RFC 792, RFC 4443 section 4).

/// Type 8, an echo request over IPv4.
const REQUEST_V4: u8 = 8;
/// Type 0, its reply.
const REPLY_V4: u8 = 0;
/// Type 128, an echo request over IPv6.
const REQUEST_V6: u8 = 128;
/// Type 129, its reply.
const REPLY_V6: u8 = 129;
/// Type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;
/// What tells our probe's replies from all others.
const TOKEN: usize = 16;

/// How the kernel hands ICMP to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    /// `SOCK_DGRAM`: the kernel writes the identifier and the checksum, and sorts the replies by the identifier.
    Datagram,
    /// `SOCK_RAW`: every ICMP packet comes, over IPv4 behind its IP header; the IPv4 checksum is ours to write.
    Raw,
}

/// The requests of one probe.
#[derive(Debug)]
pub(super) struct Echo {
    pub(super) v6: bool,
    pub(super) socket: Socket,
    /// Written by the kernel on a datagram socket, so only compared on a raw one.
    pub(super) identifier: u16,
    /// Drawn anew for each probe. A reply without it is somebody else's, or forged by one who did not see the request.
    pub(super) token: [u8; TOKEN],
    /// Bytes after the header.
    pub(super) size: usize,
}

impl Echo {
    /// The request with this number.
    pub(super) fn request(&self, sequence: u16) -> Vec<u8> {
        let mut packet = Vec::with_capacity(HEADER + self.size);
        packet.extend([if self.v6 { REQUEST_V6 } else { REQUEST_V4 }, 0, 0, 0]);
        packet.extend(self.identifier.to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend(self.token.iter().cycle().take(self.size));
        // Over IPv6 the sum takes in the addresses, and the kernel writes it on either kind of socket (RFC 3542 section 3.1).
        if !self.v6 {
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }

    /// The number of the request that this packet answers; `None` for everything that is not a whole reply to this probe.
    pub(super) fn answered(&self, packet: &[u8]) -> Option<u16> {
        let bare = self.v6 || self.socket == Socket::Datagram;
        let icmp = if bare { packet } else { without_ip_header(packet)? };
        let (header, payload) = icmp.split_at_checked(HEADER)?;
        let expected = if self.v6 { REPLY_V6 } else { REPLY_V4 };
        let ours = header[..2] == [expected, 0]
            && (self.socket == Socket::Datagram || header[4..6] == self.identifier.to_be_bytes())
            && payload.len() == self.size
            && payload.iter().eq(self.token.iter().cycle().take(self.size));
        // The kernel has looked at the sums of IPv6 and of datagram sockets.
        let whole = bare || checksum(icmp) == 0;
        (ours && whole).then(|| u16::from_be_bytes([header[6], header[7]]))
    }
}

/// IPv4 leaves its header before what a raw socket receives (`raw(7)`).
fn without_ip_header(packet: &[u8]) -> Option<&[u8]> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    (packet[0] >> 4 == 4 && length >= 20).then(|| packet.get(length..)).flatten()
}

/// RFC 1071. Zero for octets that hold their right sum.
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    let mut sum: u32 = words.map(u32::from).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("it was folded into 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(v6: bool, socket: Socket) -> Echo {
        Echo { v6, socket, identifier: 0x1234, token: *b"sixteen bytes ok", size: 21 }
    }

    /// What an honest host sends back, as the socket hands it on.
    fn reply(echo: &Echo, sequence: u16, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut packet = echo.request(sequence);
        packet[0] = if echo.v6 { REPLY_V6 } else { REPLY_V4 };
        packet[2..4].fill(0);
        if !echo.v6 {
            let sum = checksum(&packet).to_be_bytes();
            packet[2..4].copy_from_slice(&sum);
        }
        change(&mut packet);
        if !echo.v6 && echo.socket == Socket::Raw {
            packet.splice(..0, [0x46].into_iter().chain([0; 23]));
        }
        packet
    }

    const WAYS: [(bool, Socket); 4] =
        [(false, Socket::Datagram), (false, Socket::Raw), (true, Socket::Datagram), (true, Socket::Raw)];

    /// RFC 1071 section 3, and the ping of RFC 792 with an odd length.
    #[test]
    fn the_checksum_is_the_one_of_the_internet() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        let request = echo(false, Socket::Raw).request(7);
        assert_eq!((request.len(), checksum(&request)), (HEADER + 21, 0));
    }

    #[test]
    fn a_reply_is_known_by_its_number_on_every_kind_of_socket() {
        for (v6, socket) in WAYS {
            let echo = echo(v6, socket);
            assert_eq!(echo.answered(&reply(&echo, 513, |_| {})), Some(513), "{v6} {socket:?}");
        }
    }

    #[test]
    fn what_belongs_to_others_is_not_heard() {
        for (v6, socket) in WAYS {
            let echo = echo(v6, socket);
            let ignored = |what: &str, change: fn(&mut Vec<u8>)| {
                assert_eq!(echo.answered(&reply(&echo, 1, change)), None, "{what}: {v6} {socket:?}");
            };
            ignored("a request", |packet| packet[0] = if packet[0] == REPLY_V6 { 128 } else { 8 });
            ignored("another code", |packet| packet[1] = 1);
            ignored("another token", |packet| packet[HEADER] ^= 1);
            ignored("the end is another one", |packet| *packet.last_mut().expect("octets") ^= 1);
            ignored("cut short", |packet| packet.truncate(HEADER + 20));
            ignored("longer", |packet| packet.push(0));
            ignored("no header", |packet| packet.truncate(3));
            assert_eq!(echo.answered(&[]), None);
            if socket == Socket::Raw {
                ignored("another program's", |packet| packet[5] ^= 1);
            }
        }
        let raw = echo(false, Socket::Raw);
        assert_eq!(raw.answered(&reply(&raw, 1, |packet| packet[7] ^= 4)), None, "a wrong checksum");
        assert_eq!(raw.answered(&[0x41; 40]), None, "an IP header of four octets");
    }
}
