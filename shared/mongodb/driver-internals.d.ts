// The one piece of the driver's inside that we use, typed: a command argument whose documents are already BSON.
// Without it every document of a restore would be parsed and written again, which is slow and does not keep its bytes.
declare module 'mongodb/lib/cmap/commands.js' {
  export class DocumentSequence {
    constructor(field: string);
    /** Appends the bytes of one or more whole documents. */
    push(document: object, bytes: Uint8Array): number;
  }
}
