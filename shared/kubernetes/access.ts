// Which cluster a run works with, as its user names it.

/** Which API server, and who asks it. Without anything: what kubectl would take, and inside a pod its service account. */
export interface ClusterAccess {
  /** Path of a kubeconfig. Default: the files of KUBECONFIG, else `~/.kube/config`. */
  kubeconfig?: string | undefined;
  /** A context of the kubeconfig; its current one when absent. */
  context?: string | undefined;
}

/** One namespace of a cluster. */
export interface NamespaceAccess extends ClusterAccess {
  namespace: string;
}
