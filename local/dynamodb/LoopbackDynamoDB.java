import com.amazonaws.services.dynamodbv2.local.main.ServerRunner;
import com.amazonaws.services.dynamodbv2.local.server.DynamoDBProxyServer;
import java.util.Arrays;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * DynamoDB Local on one address.
 *
 * <p>Its own main class listens on every network of the machine, and asks nobody for a password.
 * Arguments: the address, then those of ServerRunner.
 */
public final class LoopbackDynamoDB {
  private LoopbackDynamoDB() {}

  public static void main(String[] args) throws Exception {
    DynamoDBProxyServer dynamodb =
        ServerRunner.createServerFromCommandLineArgs(Arrays.copyOfRange(args, 1, args.length));
    var field = DynamoDBProxyServer.class.getDeclaredField("server");
    field.setAccessible(true);
    for (Connector connector : ((Server) field.get(dynamodb)).getConnectors()) {
      ((ServerConnector) connector).setHost(args[0]);
    }
    dynamodb.start();
    dynamodb.join();
  }
}
