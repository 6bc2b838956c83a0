// The kubelet's port as far as exec and port-forward need it. A container is a folder: programs of its `bin` run as local processes in it.
//
// Files in a pod's folder, <root>/<namespace>/<pod>:
//
//	bin/   programs that exist in the container, first on its PATH
//	.env   the container's environment, NAME=value per line
//	.ports what listens on the pod's ports: <port in the pod>=<port of this machine> per line; others are this machine's own
//	.cut   a number: standard output ends after so many bytes, and the exit code says that all is well (kubernetes/kubernetes#124571)
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

type containers struct{ root string }

// ExecInContainer runs one program to its end. Its process group goes with the connection.
func (c *containers) ExecInContainer(ctx context.Context, pod, _, container string, command []string, in io.Reader, out, failures io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	folder := filepath.Join(c.root, filepath.FromSlash(pod))
	path := filepath.Join(folder, "bin") + ":/usr/bin:/bin"
	program, err := lookUp(command[0], path)
	if err != nil {
		return err
	}
	process := exec.CommandContext(ctx, program, command[1:]...)
	process.Dir = folder
	process.Env = append([]string{"PATH=" + path, "HOME=" + folder, "CONTAINER=" + container}, environment(folder)...)
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process.Cancel = func() error { return syscall.Kill(-process.Process.Pid, syscall.SIGKILL) }
	process.WaitDelay = 2 * time.Second
	process.Stdout, process.Stderr = out, failures
	cut := cutAfter(folder)
	if cut >= 0 {
		process.Stdout = &limited{to: out, left: cut}
	}
	if in != nil {
		// Not process.Stdin: Wait would then wait for a client that has nothing more to say.
		pipe, err := process.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(pipe, in)
			_ = pipe.Close()
		}()
	}
	err = process.Run()
	if cut >= 0 {
		return nil
	}
	return exitError(err)
}

// The program's exit code in the form that travels back to kubectl.
func exitError(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	code := exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return utilexec.CodeExitError{Err: err, Code: code}
}

func lookUp(name, path string) (string, error) {
	for _, folder := range filepath.SplitList(path) {
		file := filepath.Join(folder, name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	// As containerd and runc say it; it is no exit code there, but an internal error.
	return "", errors.New(`OCI runtime exec failed: exec failed: unable to start container process: exec: "` + name + `": executable file not found in $PATH: unknown`)
}

func environment(folder string) []string {
	text, _ := os.ReadFile(filepath.Join(folder, ".env"))
	var lines []string
	for scanner := bufio.NewScanner(bytes.NewReader(text)); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	return lines
}

func cutAfter(folder string) int64 {
	text, err := os.ReadFile(filepath.Join(folder, ".cut"))
	if err != nil {
		return -1
	}
	bytes, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return -1
	}
	return bytes
}

// PortForward connects one stream with a port.
func (c *containers) PortForward(_ context.Context, pod, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	connection, err := net.Dial("tcp", "127.0.0.1:"+c.portOf(pod, port))
	if err != nil {
		return err
	}
	defer connection.Close()
	ended := make(chan struct{}, 2)
	pass := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from)
		ended <- struct{}{}
	}
	go pass(connection, stream)
	go pass(stream, connection)
	<-ended
	return nil
}

func (c *containers) portOf(pod string, port int32) string {
	inside := strconv.Itoa(int(port))
	text, _ := os.ReadFile(filepath.Join(c.root, filepath.FromSlash(pod), ".ports"))
	for _, line := range strings.Fields(string(text)) {
		if own, ok := strings.CutPrefix(line, inside+"="); ok {
			return own
		}
	}
	return inside
}

// limited swallows what comes after the first bytes: its writer notices nothing.
type limited struct {
	to   io.Writer
	left int64
}

func (l *limited) Write(chunk []byte) (int, error) {
	pass := chunk[:min(int64(len(chunk)), l.left)]
	l.left -= int64(len(pass))
	if _, err := l.to.Write(pass); err != nil {
		return 0, err
	}
	return len(chunk), nil
}

func serveKubelet(arguments []string) {
	flags := flag.NewFlagSet("kubelet", flag.ExitOnError)
	address := flags.String("address", "", "host:port to listen on")
	certificate := flags.String("cert", "", "TLS certificate")
	key := flags.String("key", "", "its key")
	root := flags.String("root", "", "folder of the pods")
	_ = flags.Parse(arguments)
	runtime := &containers{root: *root}
	mux := http.NewServeMux()
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", func(response http.ResponseWriter, request *http.Request) {
		options, err := remotecommand.NewOptions(request)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		pod := request.PathValue("namespace") + "/" + request.PathValue("pod")
		remotecommand.ServeExec(response, request, runtime, pod, "", request.PathValue("container"), request.URL.Query()["command"],
			options, time.Hour, time.Minute, remotecommand.SupportedStreamingProtocols)
	})
	mux.HandleFunc("/portForward/{namespace}/{pod}", func(response http.ResponseWriter, request *http.Request) {
		options, err := portforward.NewV4Options(request)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		pod := request.PathValue("namespace") + "/" + request.PathValue("pod")
		portforward.ServePortForward(response, request, runtime, pod, "", options, time.Hour, time.Minute, portforward.SupportedProtocols)
	})
	// The streams take the connection over, which HTTP/2 does not allow.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	server := &http.Server{Addr: *address, Handler: mux, Protocols: &protocols}
	log.Fatal(server.ListenAndServeTLS(*certificate, *key))
}
