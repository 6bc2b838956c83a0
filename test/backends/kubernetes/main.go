// A small Kubernetes for tests in one program: etcd, the control plane and kubectl as they are, and a kubelet whose containers are local processes.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	part := ""
	if len(os.Args) > 1 {
		part = os.Args[1]
	}
	arguments := append([]string{part}, os.Args[min(2, len(os.Args)):]...)
	switch part {
	case "etcd":
		etcdmain.Main(arguments)
	case "kubelet":
		serveKubelet(arguments[1:])
	case "apiserver":
		run(apiserver.NewAPIServerCommand(), arguments)
	case "controllers":
		run(controllers.NewControllerManagerCommand(), arguments)
	case "scheduler":
		run(scheduler.NewSchedulerCommand(), arguments)
	case "kubectl":
		// kubectl reads os.Args itself while it is made: to find plugins.
		os.Args = arguments
		run(kubectl.NewDefaultKubectlCommand(), arguments)
	default:
		fmt.Fprintln(os.Stderr, "usage: cluster etcd|apiserver|controllers|scheduler|kubelet|kubectl ...")
		os.Exit(2)
	}
}

func run(command *cobra.Command, arguments []string) {
	os.Args = arguments
	os.Exit(cli.Run(command))
}
