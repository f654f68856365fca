import java.nio.file.Path;
import org.neo4j.harness.Neo4j;
import org.neo4j.harness.Neo4jBuilders;

/** A real Neo4j until standard input ends: prints its Bolt address. */
public class Neo4jForTests {
    public static void main(String[] arguments) throws Exception {
        try (Neo4j neo4j = Neo4jBuilders.newInProcessBuilder(Path.of(arguments[0])).withDisabledServer().build()) {
            System.out.println("BOLT " + neo4j.boltURI());
            System.out.flush();
            while (System.in.read() >= 0) {
                // the tests hold the other end open as long as they need the server
            }
        }
        System.exit(0);
    }
}
