// Clustering of vectors: groups that are plain to see, means by hand, and what importance does; depends on its file and statistics.
import { expect, test } from "vitest";
import { seededRandom } from "../../statistics/index.ts";
import { clusterVectors, type VectorClusters } from "./vector-cluster.ts";

const random = () => seededRandom(4);
const ones = (length: number): Float32Array => new Float32Array(length).fill(1);

/** Normal vectors `[n, length]` around some of the points. */
function around(points: readonly (readonly number[])[], n: number, spread: number): Float32Array {
  const normal = seededRandom(8);
  const rows = Array.from({ length: n }, (_, at) =>
    points[at % points.length].map((x) => x + spread * normal.normal()),
  );
  return Float32Array.from(rows.flat());
}

function squaredError(
  vectors: Float32Array,
  length: number,
  clusters: VectorClusters,
  importance: Float32Array,
): number {
  return vectors.reduce((sum, value, at) => {
    const center = clusters.centers[clusters.indices[Math.floor(at / length)] * length + (at % length)];
    return sum + importance[at % importance.length] * (value - center) ** 2;
  }, 0);
}

test("groups far apart are found, and each center is the mean of its members", () => {
  const points = [
    [0, 0, 9],
    [5, 0, 0],
    [0, -7, 0],
    [4, 4, 4],
  ];
  const vectors = around(points, 400, 0.1);
  const { centers, indices } = clusterVectors(vectors, 3, 4, ones(3), random());
  for (let group = 0; group < 4; group++) {
    const own = indices.filter((_, at) => at % 4 === group);
    expect(new Set(own).size).toBe(1);
    for (let axis = 0; axis < 3; axis++) {
      let sum = 0;
      for (let at = group; at < 400; at += 4) sum += vectors[at * 3 + axis];
      expect(centers[own[0] * 3 + axis]).toBeCloseTo(sum / 100, 5);
    }
  }
  expect(new Set(indices).size).toBe(4);
});

test("all vectors are assigned though means are learnt from a sample, near what the best of many starts gives", () => {
  const vectors = around([[0, 0]], 20_000, 1);
  const errors = Array.from({ length: 5 }, (_, seed) => {
    const clusters = clusterVectors(vectors, 2, 16, ones(2), seededRandom(seed));
    return squaredError(vectors, 2, clusters, ones(2)) / 40_000;
  });
  // 2 bits a number: uniform rounding of a normal number at its best leaves 0.1188, the best scalar one 0.1175.
  for (const error of errors) expect(error).toBeLessThan(0.1175);
  expect(Math.max(...errors) / Math.min(...errors)).toBeLessThan(1.05);
});

test("what counts more is met more closely, and its mean is a weighted one", () => {
  const vectors = around([[0, 0]], 2000, 1);
  const importance = Float32Array.of(100, 1, 1, 100);
  const plain = clusterVectors(vectors, 2, 8, ones(2), random());
  const weighted = clusterVectors(vectors, 2, 8, importance, random());
  const error = (clusters: VectorClusters) => squaredError(vectors, 2, clusters, importance);
  expect(error(weighted)).toBeLessThan(0.8 * error(plain));
  const one = clusterVectors(Float32Array.of(1, 0, 5, 0), 2, 1, Float32Array.of(3, 1, 1, 1), random());
  expect([...one.centers]).toEqual([2, 0]);
});

test("the same seed gives the same centers; fewer distinct vectors than centers are all met", () => {
  const vectors = around([[1, 2, 3, 4]], 300, 1);
  expect(clusterVectors(vectors, 4, 16, ones(4), random())).toEqual(clusterVectors(vectors, 4, 16, ones(4), random()));
  const few = Float32Array.of(1, 2, 3, 4, 1, 2, 3, 4, 1, 2);
  const clusters = clusterVectors(few, 2, 5, ones(2), random());
  expect(squaredError(few, 2, clusters, ones(2))).toBe(0);
});
