<?php
// Arrays, strings and objects, JSON, and regular expressions.
$data = json_decode(file_get_contents($argv[1]), true);
$groups = [];
foreach ($data as $record) {
    $record['words'] = explode(' ', $record['name']);
    $groups[$record['group']][] = $record;
}
ksort($groups);
$total = 0;
foreach ($groups as $name => $records) {
    usort($records, fn($a, $b) => [$b['score'], $a['id']] <=> [$a['score'], $b['id']]);
    $text = json_encode($records);
    $total += strlen(preg_replace('/user (\d+)/', 'person <$1>', $text));
    echo $name, ' ', count($records), ' ', strlen($text), "\n";
}
echo $total, ' ', strlen(gzcompress(str_repeat($text, 10), 6)) > 0 ? 'packed' : '', "\n";
