// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import picocli.CommandLine;

/** The program. */
public final class Main {
  /** Done, and nothing was found to be wrong. */
  public static final int OK = 0;

  /** The simulated kernel failed, or a comparison did not match. */
  public static final int FAILED = 1;

  /** What the user gave cannot be used. */
  public static final int BAD_INPUT = 2;

  private static final String USAGE =
      """
      usage: vmemmap COMMAND [OPTION...]

        boot     boot a simulated machine and report what happened to its memmap
        replay   replay captured boots of a real kernel, fact by fact
        series   list the patches of the series, or show one of them
        dump     show page tables, a struct page, sections, zones or counters of a booted machine
        check    look for bugs: list the rules, fail each allocation of a scenario

      vmemmap COMMAND --help tells more. Exit code: 0 done, 1 a check failed, 2 bad input.
      """;

  private Main() {}

  /** Runs the program and leaves with its exit code. */
  public static void main(String[] args) {
    PrintWriter out = new PrintWriter(System.out, false, StandardCharsets.UTF_8);
    PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
    int code = run(args, out, err);
    out.flush();
    System.exit(code);
  }

  /** Runs the program in this JVM. Returns the exit code. */
  public static int run(String[] args, PrintWriter out, PrintWriter err) {
    boolean debug = Arrays.asList(args).contains("--debug");
    try {
      int code = dispatch(args, out);
      out.flush();
      return code;
    } catch (BadInput e) {
      out.flush();
      err.println("vmemmap: " + e.getMessage());
      return BAD_INPUT;
    } catch (CommandLine.ParameterException e) {
      out.flush();
      err.println(
          "vmemmap: "
              + oneLine(String.valueOf(e.getMessage()))
              + " (see "
              + e.getCommandLine().getCommandName()
              + " --help)");
      return BAD_INPUT;
    } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
      out.flush();
      err.println("vmemmap: " + describe(e));
      if (debug) {
        e.printStackTrace(err);
      }
      return FAILED;
    }
  }

  private static int dispatch(String[] args, PrintWriter out) {
    if (args.length == 0 || args[0].equals("--help") || args[0].equals("-h")) {
      out.print(USAGE);
      return args.length == 0 ? BAD_INPUT : OK;
    }
    List<String> rest = List.of(args).subList(1, args.length);
    Callable<Integer> command =
        args[0].equals("check") ? CheckCommand.of(rest, out) : command(args[0], out);
    if (command == null) {
      throw new BadInput(args[0] + ": no such command, wanted boot, replay, series, dump or check");
    }
    boolean below = args[0].equals("check") && !(command instanceof CheckCommand);
    return execute(command, below ? rest.subList(1, rest.size()) : rest, out);
  }

  private static @Nullable Callable<Integer> command(String name, PrintWriter out) {
    return switch (name) {
      case "boot" -> new BootCommand(out);
      case "replay" -> new ReplayCommand(out);
      case "series" -> new SeriesCommand(out);
      case "dump" -> new DumpCommand(out);
      default -> null;
    };
  }

  private static int execute(Callable<Integer> command, List<String> args, PrintWriter out) {
    CommandLine line = new CommandLine(command);
    line.parseArgs(args.toArray(String[]::new));
    if (line.isUsageHelpRequested()) {
      line.usage(out);
      return OK;
    }
    try {
      return command.call();
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static String describe(Throwable e) {
    String message = oneLine(String.valueOf(e.getMessage()));
    if (e instanceof KernelPanic) {
      return "Kernel panic - not syncing: " + message;
    } else if (e instanceof KernelBug) {
      return "kernel BUG: " + message;
    } else if (e instanceof MachineFault) {
      return "machine fault: " + message;
    } else if (e instanceof OutOfMemoryError) {
      long mib = Runtime.getRuntime().maxMemory() >> 20;
      return "this machine's memmap does not fit into a heap of "
          + mib
          + " MiB: wanted a smaller machine, or VMEMMAP_JAVA_OPTS=-Xmx with more";
    }
    return "internal error: "
        + e.getClass().getSimpleName()
        + ": "
        + message
        + " (--debug shows where)";
  }

  private static String oneLine(String text) {
    return text.strip().replaceAll("\\s*\\R\\s*", " ");
  }
}
