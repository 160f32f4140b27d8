# A server that forks a process per request, as CGI and prefork servers do: the parent holds state, and each child copies a
# part of it, makes an answer and ends.
use strict;
use warnings;
use POSIX ();
my %state = map { $_ => { name => "name $_", list => [ map { "entry $_" } 1 .. 6 ] } } 1 .. 6_000;
my $sum = 0;
for my $request (1 .. 120) {
    pipe my $read, my $write or die $!;
    my $pid = fork // die $!;
    if (!$pid) {
        close $read;
        my %own = map { my $key = ($request * 37 + $_) % 6_000 + 1; $key => [ @{ $state{$key}{list} }, $state{$key}{name} ] } 1 .. 300;
        my $answer = join ',', map { join '-', @{ $own{$_} } } sort { $a <=> $b } keys %own;
        print $write length $answer;
        close $write;
        POSIX::_exit(0);
    }
    close $write;
    $sum += <$read>;
    waitpid $pid, 0;
    $state{ $request * 61 % 6_000 + 1 } = { name => "new $request", list => [ 1 .. 8 ] };
}
print "$sum\n";
