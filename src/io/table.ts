// `Table`, what the CSV and Parquet readers give: columns of numbers, of number lists or of text; may depend on nothing.

export type TableColumn =
  | { readonly kind: "numbers"; readonly name: string; readonly values: Float64Array; readonly integral: boolean }
  /** A list of `width` numbers in every row, `[rows · width]`. */
  | {
      readonly kind: "lists";
      readonly name: string;
      readonly values: Float64Array;
      readonly width: number;
      readonly integral: boolean;
    }
  | { readonly kind: "text"; readonly name: string; readonly values: readonly string[] };

export interface Table {
  readonly file: string;
  readonly rowCount: number;
  readonly columns: readonly TableColumn[];
}
