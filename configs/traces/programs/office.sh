#!/bin/sh
# A document of headings, paragraphs and tables, as HTML.
echo '<html><head><title>Report</title></head><body>'
for chapter in $(seq 1 12); do
    echo "<h1>Chapter $chapter</h1><p>Text with <b>bold</b> and <i>slanted</i> words of chapter $chapter, long enough to need several lines on a page of usual width, and a <a href=\"#$chapter\">link</a>.</p><table border=1>"
    for row in $(seq 1 25); do echo "<tr><td>$row</td><td>row $row of chapter $chapter</td><td>$((row * chapter * 37 % 1000))</td></tr>"; done
    echo "</table>"
done
echo '</body></html>'
