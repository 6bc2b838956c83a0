// Starts mongo-java-server on 127.0.0.1: arguments are the port and, for data on disk (H2), a file.
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

public final class Main {
  public static void main(String[] arguments) {
    int port = Integer.parseInt(arguments[0]);
    var backend = arguments.length > 1 ? new H2Backend(arguments[1]) : new MemoryBackend();
    MongoServer server = new MongoServer(backend);
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
    server.bind("127.0.0.1", port);
    System.out.println("ready");
  }
}
