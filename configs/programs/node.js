// Reads JSON, groups its records, and works with buffers and strings, which are outside of the engine's own heap.
const fs = require("fs");
const zlib = require("zlib");
const data = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const groups = new Map();
for (const record of data) {
    if (!groups.has(record.group)) groups.set(record.group, []);
    groups.get(record.group).push({ ...record, key: `${record.name}/${record.address.city}` });
}
let bytes = 0;
for (const name of [...groups.keys()].sort()) {
    const list = groups.get(name).sort((a, b) => b.score - a.score || a.id - b.id);
    const text = JSON.stringify(list);
    const packed = zlib.deflateSync(Buffer.from(text), { level: 1 });
    bytes += zlib.inflateSync(packed).length;
    console.log(name, list.length, text.length, list[0].id);
}
const buffers = [];
for (let at = 0; at < 20000; at++) {
    buffers.push(Buffer.alloc(64 + ((at * 7919) % 8000), at & 255));
    if (buffers.length > 600) buffers.splice((at * 31) % 500, 40);
}
console.log(bytes, buffers.reduce((sum, buffer) => sum + buffer[0] + buffer.length, 0));
