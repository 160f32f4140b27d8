"""Linear algebra and Fourier transforms on arrays of many sizes, whose temporaries come and go."""

import numpy

at = numpy.arange(1 << 18, dtype=numpy.int64)
noise = ((at * 1103515245 + 12345) % 65536).astype(numpy.float64) / 65536
total = 0
for size in (64, 128, 200, 256):
    for part in range(40):
        matrix = noise[part : part + size * size].reshape(size, size) + numpy.eye(size)
        total += int(numpy.rint(((matrix @ matrix.T) > size / 4).sum()))
for power in range(8, 18):
    for part in range(24):
        wave = noise[part : part + (1 << power)]
        spectrum = numpy.fft.rfft(wave - wave.mean())
        total += int((numpy.abs(spectrum) > 10).sum())
for part in range(300):
    piece = noise[part * 64 : part * 64 + 100_000]
    total += int((numpy.sqrt(piece * piece + 1) > 1.2).sum())
print(total)
