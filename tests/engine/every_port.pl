# Finds the open ports of each pod, asks every one of them for what it may tell, and prints all answers.
#
# Arguments: the addresses of the pods, then "--", then admission reviews in base64.
use strict;
use warnings;
use IO::Socket::INET;

my (@hosts, @reviews);
while (defined(my $argument = shift @ARGV)) { last if $argument eq '--'; push @hosts, $argument; }
@reviews = @ARGV;
my @paths = qw(/ /config /metrics /healthcheck /api/v1/projects /me /.well-known/oauth-authorization-server /debug/vars
  /debug/pprof/ /debug/pprof/cmdline /debug/pprof/goroutine?debug=2 /debug/pprof/heap?debug=1 /debug/pprof/allocs?debug=1
  /minio/v2/metrics/cluster /minio/admin/v3/info /minio/health/live /flyte/ /console/ /etc/passwd);

# Sends text to a port, and returns what it answers within two seconds.
sub answer {
    my ($host, $port, $text) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 1) or return '';
    my $said = '';
    eval {
        local $SIG{ALRM} = sub { die "silent\n" };
        alarm 2;
        print $socket $text;
        while (sysread $socket, my $part, 65536) { $said .= $part; }
        alarm 0;
    };
    alarm 0;
    return $said;
}

# The same with TLS.
sub tls {
    my ($host, $port, $text) = @_;
    open my $file, '>', "/tmp/request" or die $!;
    print $file $text;
    close $file;
    return scalar `timeout 3 openssl s_client -quiet -connect $host:$port < /tmp/request 2>/dev/null` // '';
}

for my $host (@hosts) {
    for my $port (1 .. 65535) {
        IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 0.3) or next;
        print "\n==== open $host $port\n";
        for my $path (@paths) {
            my $request = "GET $path HTTP/1.0\r\nHost: $host\r\n\r\n";
            print answer($host, $port, $request), "\n";
        }
        print answer($host, $port, "\x00\x00\x00\x08\x04\xd2\x16\x2f"), "\n";
        next if length answer($host, $port, "GET / HTTP/1.0\r\n\r\n") > 0 && $port != 9443;
        print tls($host, $port, "GET $_ HTTP/1.0\r\nHost: $host\r\n\r\n"), "\n" for @paths;
        for my $review (@reviews) {
            my $body = `printf %s '$review' | base64 -d`;
            my $request = "POST /mutate--v1-pod HTTP/1.0\r\nHost: $host\r\nContent-Type: application/json\r\n"
              . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
            print "==== review\n", tls($host, $port, $request), "\n";
        }
    }
}
