// Everything about data sets in one import: loading, slicing, splitting; depends on its room.
export { loadDataset, UNNAMED_INPUT } from "./load-dataset.ts";
export { DATASET_OPTIONS, parseDatasetSpec, type DatasetSpec } from "./dataset-spec.ts";
export {
  createDataset,
  describeInputs,
  sampleElements,
  sliceDataset,
  sliceTensor,
  splitDataset,
  takeFromTensor,
  takeSamples,
  type Dataset,
  type DatasetParts,
} from "./sample-set.ts";
