// Which cluster a run works with.

/** Which cluster and namespace, as kubectl knows them. */
export interface ClusterAccess {
  /** A context of the kubeconfig; its current one when absent. */
  context?: string | undefined;
  namespace: string;
}
