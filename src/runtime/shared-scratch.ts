// Memory that threads share and that is used again and again; depends on nothing.

/**
 * What a worker was sent it holds until its own collector runs, which in an idle one may be never: a new array for each of many matrices
 * would pile up there.
 */
export class SharedScratch {
  #memory = new SharedArrayBuffer(0);

  /** Zeros; what was given before is void. */
  floats(length: number): Float32Array {
    const byteLength = length * Float32Array.BYTES_PER_ELEMENT;
    if (this.#memory.byteLength < byteLength) this.#memory = new SharedArrayBuffer(byteLength);
    return new Float32Array(this.#memory, 0, length).fill(0);
  }

  /** A copy; what was given before is void. */
  copyOf(values: Float32Array): Float32Array {
    const copy = this.floats(values.length);
    copy.set(values);
    return copy;
  }
}
