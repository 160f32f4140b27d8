# Counts words into a hash of hashes, matches and replaces, sorts, and splits records.
use strict;
use warnings;
my (%count, %by);
open my $in, '<', $ARGV[0] or die $!;
my $lines = 0;
while (my $line = <$in>) {
    last if ++$lines > 26_000;
    chomp $line;
    for my $word (split / /, $line) {
        $count{$word}++;
        push @{ $by{ length $word }{ substr $word, 0, 1 } }, $lines if $lines % 3 == 0;
    }
    (my $changed = $line) =~ s/([aeiou])([a-z])/\u$2$1/g;
    $count{"#" . length $changed}++;
}
my @sorted = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print "$_ $count{$_}\n" for @sorted[0 .. 19];
my $total = 0;
for my $length (sort { $a <=> $b } keys %by) {
    $total += scalar @{ $by{$length}{$_} } for sort keys %{ $by{$length} };
    print "$length $total\n";
}
my @records = map { { id => $_, name => "name $_", list => [ 1 .. $_ % 9 ] } } 1 .. 40_000;
my $sum = 0;
$sum += $_->{id} + @{ $_->{list} } for grep { $_->{name} =~ /7$/ } @records;
print "$sum\n";
