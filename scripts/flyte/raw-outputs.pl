#!/usr/bin/perl
# Tells Flyte where the tasks of each project and domain put their data. It can be repeated, and sends only what Flyte
# does not have.
#
# FLYTE_HOST, FLYTE_PORT         where Flyte's HTTP API answers
# OUTPUTS                        file with a line PROJECT DOMAIN PREFIX for each
# CLIENT_ID, CLIENT_SECRET_FILE  to log in with; empty where Flyte wants no login
# WAIT                           seconds for which it repeats a request (default 300)
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP qw(decode_json encode_json);
use MIME::Base64 qw(encode_base64);

STDOUT->autoflush(1);
my $flyte = "$ENV{FLYTE_HOST}:$ENV{FLYTE_PORT}";
# Without redirects, which would take the login elsewhere.
my $client = HTTP::Tiny->new(timeout => 20, max_redirect => 0);
my $token = '';

# Ends the program with one line.
sub fail {
    my ($problem) = @_;
    print STDERR 'raw-outputs: ', $problem =~ s/\s+\z//r, "\n";
    exit 1;
}

# Returns the content of a file, without the newline at its end.
sub content {
    my ($path) = @_;
    open my $file, '<', $path or fail("$path: $!");
    local $/ = undef;
    my $text = <$file>;
    $text =~ s/\n\z//;
    return $text;
}

# Sends a request, and returns the status and the text of the answer; the status is empty without an answer.
sub ask {
    my ($method, $path, $type, $authorization, $body) = @_;
    my %headers = ('Content-Type' => $type, $authorization ? (Authorization => $authorization) : ());
    my $answer = $client->request($method, "http://$flyte$path", {headers => \%headers, content => $body});
    return $answer->{status} == 599 ? ('', $answer->{content}) : ($answer->{status}, $answer->{content});
}

# Gets a token for this client. Returns the status and the text of the answer, and sets $token if Flyte issues one.
sub log_in {
    my $login = encode_base64("$ENV{CLIENT_ID}:" . content($ENV{CLIENT_SECRET_FILE}), '');
    my ($status, $answer) = ask('POST', '/oauth2/token', 'application/x-www-form-urlencoded', "Basic $login",
        'grant_type=client_credentials&scope=all');
    my $issued = $status eq '200' && eval { decode_json($answer)->{access_token} };
    $token = "Bearer $issued" if $issued;
    return ($status, "no login as $ENV{CLIENT_ID}: $answer");
}

# Sends a request of Flyte's API, with a login if Flyte wants one. Returns whether Flyte accepts it, the status and the
# answer. A token is used until Flyte rejects it.
sub try_request {
    my ($method, $path, $body) = @_;
    if ($ENV{CLIENT_ID} && !$token) {
        my @answer = log_in();
        return ('', @answer) if !$token;
    }
    my ($status, $answer) = ask($method, $path, 'application/json', $token, $body);
    $token = '' if $status eq '401';
    return ($status eq '200', $status, $answer);
}

# Repeats a request until Flyte accepts it, and returns the answer.
sub request {
    my ($method, $path, $body) = @_;
    my $deadline = time + ($ENV{WAIT} || 300);
    my $waits_for = '';
    while (1) {
        my ($accepted, $status, $answer) = try_request($method, $path, $body);
        return $answer if $accepted;
        my $problem = $status || 'no answer';
        print "raw-outputs: waiting for Flyte at $flyte: $problem\n" if $problem ne $waits_for;
        $waits_for = $problem;
        fail("Flyte at $flyte does not accept $method $path: $problem $answer") if time >= $deadline;
        sleep 1;
    }
}

# Returns the prefixes that Flyte has, by project and domain. Those of single workflows do not count. If an answer ever
# looks different, every prefix is sent, which does no harm.
sub current_prefixes {
    my $answer = request('GET', '/api/v1/matchable_attributes?resource_type=WORKFLOW_EXECUTION_CONFIG', '');
    my %prefixes;
    my $configurations = eval { decode_json($answer)->{configurations} } || [];
    for my $found (@{$configurations}) {
        next if $found->{workflow} || $found->{launch_plan};
        my $raw = $found->{attributes}{workflow_execution_config}{raw_output_data_config};
        $prefixes{"$found->{project} $found->{domain}"} = $raw->{output_location_prefix};
    }
    return \%prefixes;
}

my $current = current_prefixes();
for my $line (split /\n/, content($ENV{OUTPUTS})) {
    my ($project, $domain, $prefix) = split / /, $line;
    next if ($current->{"$project $domain"} // '') eq $prefix;
    my $config = {raw_output_data_config => {output_location_prefix => $prefix}};
    my $attributes = {project => $project, domain => $domain, matching_attributes => {workflow_execution_config => $config}};
    request('PUT', "/api/v1/project_domain_attributes/$project/$domain", encode_json({attributes => $attributes}));
    print "raw-outputs: tasks of $project in $domain put their data to $prefix\n";
}
print "raw-outputs: Flyte has every prefix\n";
