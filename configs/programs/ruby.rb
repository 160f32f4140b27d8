# Counts words, builds records with hashes and strings, and sorts them.
text = File.read(ARGV[0], 1_600_000)
counts = Hash.new(0)
text.each_line { |line| line.split.each { |word| counts[word] += 1 } }
Item = Struct.new(:word, :count, :forms)
items = counts.map { |word, count| Item.new(word, count, { upper: word.upcase, reverse: word.reverse, parts: word.chars }) }
items.sort_by! { |item| [-item.count, item.word] }
items.first(20).each { |item| puts "#{item.word} #{item.count} #{item.forms[:reverse]}" }
joined = items.map { |item| item.forms[:parts].join("-") + ":" + item.forms[:upper] }
puts joined.length, joined.sum(&:length), text.gsub(/[aeiou]+/) { |found| found.upcase }.scan(/[A-Z]{2,}/).length
lists = Array.new(30_000) { |at| Array.new(at % 17) { |n| (n * at).to_s } }
puts lists.flatten.uniq.length
