-- Tables, strings and closures that come and go.
local function tree(depth)
    if depth == 0 then return {} end
    return { tree(depth - 1), tree(depth - 1), name = "d" .. depth }
end
local function count(node)
    local sum = 1
    for _, child in ipairs(node) do sum = sum + count(child) end
    return sum
end
for round = 1, 6 do print(round, count(tree(14))) end
local words, seen = {}, 0
for line in io.lines(arg[1]) do
    seen = seen + 1
    if seen > 12000 then break end
    for word in line:gmatch("%a+") do words[word] = (words[word] or 0) + 1 end
end
local list = {}
for word, times in pairs(words) do list[#list + 1] = { word = word, times = times } end
table.sort(list, function(a, b) return a.times > b.times or a.times == b.times and a.word < b.word end)
for at = 1, 15 do print(list[at].word, list[at].times) end
local parts = {}
for at = 1, 400000 do parts[#parts + 1] = ("%d:%s"):format(at, ("x"):rep(at % 50)) end
print(#table.concat(parts, ","))
