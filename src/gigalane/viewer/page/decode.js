// Undoes what replay.py packed: base64 -> gzip -> byte planes -> differences -> numbers.

/** Inflates a base64 gzip stream. */
async function inflate(base64) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser cannot unpack the data; use one from 2023 or later");
  }
  const text = atob(base64);
  const packed = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) packed[k] = text.charCodeAt(k);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * One array from its byte planes. Plane b holds byte b of each element's difference to the
 * element one row (first dimension) before it.
 */
function undelta(octets, begin, shape, size) {
  const count = shape.reduce((product, length) => product * length, 1);
  const row = shape[0] ? count / shape[0] : 0;
  if (size === 1) {
    const out = octets.slice(begin, begin + count);
    for (let k = row; k < count; k++) out[k] += out[k - row];
    return out;
  }
  const out = new Int32Array(count);
  const [p0, p1, p2, p3] = [0, 1, 2, 3].map((plane) => begin + plane * count);
  for (let k = 0; k < count; k++) {
    const difference =
      octets[p0 + k] | (octets[p1 + k] << 8) | (octets[p2 + k] << 16) | (octets[p3 + k] << 24);
    out[k] = k < row ? difference : (out[k - row] + difference) | 0;
  }
  return out;
}

/**
 * All arrays of a stream by name. An array with step 0 is floats; others stay whole numbers of
 * their step, in `steps`, so that they take half the memory of doubles.
 */
async function decode(packed) {
  const octets = await inflate(packed.data);
  const arrays = {};
  const steps = {};
  let begin = 0;
  for (const { name, shape, bytes, step } of packed.arrays) {
    const numbers = undelta(octets, begin, shape, bytes);
    arrays[name] = step === 0 ? new Float32Array(numbers.buffer) : numbers;
    steps[name] = step;
    begin += bytes * shape.reduce((product, length) => product * length, 1);
  }
  return { arrays, steps };
}
