//! A name server of the world, and somebody who asks one: both know no more of the format than they need.

use harness::{Background, Outcome};

use crate::common::{Place, inside};

/// `.test` is served: 203.0.113.7, `big.test` by TCP alone, `huge.test` too with more than UDP takes, `slow.test` after half a second, `refused.test` not at all; what is asked for `forged.test` is
/// answered wrongly first. Everything else is not there, and what begins with `secret.` ends the server.
const SERVE: &str = r#"
    use IO::Socket::IP; use IO::Select; $| = 1;
    $u = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => 53, Type => SOCK_DGRAM) or die "$@ $!";
    $t = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => 53, Listen => 9, ReuseAddr => 1) or die "$@ $!";
    print "ready\n";
    sub answer {
        my ($q, $tcp, $rcode, $flags, @a) = (@_, 0, 0x8180);
        my ($at, @labels) = 12;
        while (my $l = ord substr $q, $at, 1) { push @labels, substr $q, $at + 1, $l; $at += $l + 1 }
        my ($name, $question) = (lc join(".", @labels), substr $q, 12, $at - 7);
        exit if $name =~ /^secret/;
        select undef, undef, undef, 0.5 if $name eq "slow.test";
        if ($name eq "refused.test") { $rcode = 5 }
        elsif ($name =~ /^(big|huge)\.test/) { if ($tcp) { @a = map "203.0.113.$_", 1 .. ($1 eq "big" ? 60 : 200) } else { $flags |= 0x200 } }
        elsif ($name =~ /\.test$/) { @a = "203.0.113.7" }
        else { $rcode = 3 }
        my $id = unpack "n", $q;
        my $body = $question . join "", map { pack "n n n N n C4", 0xc00c, 1, 1, 60, 4, split /\./ } @a;
        my $whole = sub { pack("n n n n n n", $_[0], $flags | $rcode, 1, scalar @a, 0, 0) . $_[1] };
        my $lie = $body; $lie =~ s/\xcb\x00\x71\x07$/\x06\x06\x06\x06/;
        return (($name eq "forged.test" ? $whole->($id ^ 1, $lie) : ()), $whole->($id, $body));
    }
    $s = IO::Select->new($u, $t);
    while (1) { for ($s->can_read) {
        if ($_ == $u) { $p = $u->recv($b, 4096); $u->send($_, 0, $p) for answer($b, 0) }
        else { $c = $t->accept; $c->read($l, 2); $c->read($b, unpack "n", $l); print $c pack("n/a*", (answer($b, 1))[-1]); close $c }
    } }
"#;

/// Asks 127.0.0.11 and prints the code and what came, sorted; `first` the first of it alone. `half` asks by TCP and says
/// that this was all, `edns` takes longer answers by UDP (RFC 6891). `flood` asks a thousand
/// times and waits for nothing, `garbage` sends what is no question.
const ASK: &str = r#"
    use IO::Socket::IP; use Socket qw(inet_ntop AF_INET6); alarm 12;
    ($how, $name, $kind) = @ARGV; %kinds = (A => 1, PTR => 12, MX => 15, AAAA => 28);
    sub question { pack("n n n n n n", $_[0], 0x100, 1, 0, 0, 0) . join("", map { pack "C/a*", $_ } split /\./, $name)
        . pack("C n n", 0, $kinds{$kind}, 1) }
    $type = $how =~ /tcp|half/ ? SOCK_STREAM : SOCK_DGRAM;
    $s = IO::Socket::IP->new(PeerHost => "127.0.0.11", PeerPort => 53, Type => $type) or die "$@ $!";
    if ($how eq "flood") { $s->send(question($_)) for 1 .. 1000; exit }
    if ($how eq "garbage") {
        srand 7;
        for (1 .. 2000) { $s->send(join "", map chr rand 256, 1 .. 1 + rand 200) }
        for (1 .. 2000) { $q = question($_); substr($q, rand length $q, 1) = chr rand 256; $s->send($q) }
        for (1 .. 20) {
            $t = IO::Socket::IP->new(PeerHost => "127.0.0.11", PeerPort => 53, Type => SOCK_STREAM) or die "$@ $!";
            $t->send(join "", map chr rand 256, 1 .. 500); push @t, $t
        }
        exit
    }
    $id = int rand 65536; $q = question($id);
    if ($how eq "edns") { substr($q, 10, 2) = pack "n", 1; $q .= pack "C n n N n", 0, 41, 1232, 0, 0 }
    if ($type == SOCK_STREAM) {
        print $s pack("n", length $q); $s->flush; select undef, undef, undef, 0.02; print $s $q; $s->flush;
        if ($how eq "half") { $s->shutdown(1); select undef, undef, undef, 0.05 }
        $s->read($l, 2); $s->read($b, unpack "n", $l)
    } else { $s->send($q); $s->recv($b, 65535) }
    ($got, $flags, $qs, $as) = unpack "n n n n", $b;
    $got == $id or die "the number of another question";
    $type == SOCK_STREAM or length $b <= ($how eq "edns" ? 1232 : 512) or die "too long";
    sub name { my ($at, @l) = @_; my $end;
        while (my $n = ord substr $b, $at, 1) {
            if ($n >= 0xc0) { $end //= $at + 2; $at = unpack("n", substr $b, $at, 2) & 0x3fff; next }
            push @l, substr $b, $at + 1, $n; $at += $n + 1
        }
        return (join(".", @l), $end // $at + 1) }
    $at = (name(12))[1] + 4;
    for (1 .. $as) {
        $at = (name($at))[1];
        ($t, undef, undef, $n) = unpack "n n N n", substr $b, $at, 10; $at += 10;
        push @r, $t == 1 ? join(".", unpack "C4", substr $b, $at, 4)
            : $t == 28 ? inet_ntop(AF_INET6, substr $b, $at, 16) : (name($at))[0];
        $at += $n
    }
    @r = $how eq "first" ? $r[0] : sort @r;
    push @r, "cut" if $flags & 0x200;
    %codes = (0 => "NOERROR", 1 => "FORMERR", 2 => "SERVFAIL", 3 => "NXDOMAIN", 5 => "REFUSED");
    print join " ", $codes{$flags & 15}, @r;
"#;

/// A name server there, UDP and TCP, on port 53 of `address`.
pub fn serve_names(place: Place, address: &str) -> Outcome<Background> {
    let mut server = inside(place, "perl").args(["-e", SERVE, address]).spawn()?;
    server.says("ready")?;
    Ok(server)
}

/// Asks the name server of the network there: `udp web A`. Gives code and answers.
pub fn ask(place: Place, words: &str) -> Outcome<String> {
    let done = inside(place, "perl").args(["-e", ASK]).args(words.split_whitespace()).run()?.ok()?;
    Ok(done.stdout)
}
