// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.cases.ReplayResult.CaseResult;
import org.vmemmap.types.Series;

/**
 * Runs captured cases on the model and compares every fact.
 *
 * <p>A case that the model cannot do yet, or that breaks the model, is a mismatch: nothing passes
 * because it was not looked at.
 */
public final class Replay {
  private Replay() {}

  /**
   * Replays case files, compares layout files, and prints what differs; the last line is {@code N
   * cases, F facts, M mismatches}.
   *
   * @param json print one JSON document instead
   * @return 0 when nothing differs, else 1
   * @throws org.vmemmap.lab.boot.BadInput for a file that is no case; nothing has been replayed
   *     then
   */
  public static int run(List<Path> files, boolean json, PrintWriter out) {
    return run(files, null, json, out);
  }

  /** The same on a kernel with another part of the series; null for the captured one's. */
  public static int run(
      List<Path> files, @Nullable Series series, boolean json, PrintWriter out) {
    List<Supplier<CaseResult>> given = new ArrayList<>();
    for (Path file : files) {
      given.add(read(file, series));
    }
    List<CaseResult> results =
        compare(
            given,
            result -> {
              if (!json) {
                ReplayPrinter.print(result, out);
              }
            });
    ReplayResult all = new ReplayResult(results);
    if (json) {
      ReplayPrinter.printJson(all, out);
    } else {
      ReplayPrinter.printTotal(all, out);
    }
    out.flush();
    return all.mismatches() == 0 ? 0 : 1;
  }

  /** Does all on all processors; {@code each} hears of the results in the order of the files. */
  private static List<CaseResult> compare(
      List<Supplier<CaseResult>> given, Consumer<CaseResult> each) {
    int threads = Math.min(Runtime.getRuntime().availableProcessors(), Math.max(1, given.size()));
    List<CaseResult> results = new ArrayList<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      List<CompletableFuture<CaseResult>> all =
          given.stream().map(one -> CompletableFuture.supplyAsync(one, pool)).toList();
      for (CompletableFuture<CaseResult> one : all) {
        CaseResult result = one.join();
        results.add(result);
        each.accept(result);
      }
    } catch (CompletionException e) {
      throw e.getCause() instanceof RuntimeException cause ? cause : e;
    }
    return results;
  }

  /**
   * The machine of a case after its last step, on the kernel with that part of the series.
   *
   * @throws org.vmemmap.lab.boot.BadInput for a case with an operation that the model cannot do
   */
  public static LabKernel machineAfter(VmemmapCase one, Series series) {
    @Nullable Mismatch cannot = notSupported(one);
    if (cannot != null) {
      throw new BadInput(
          one.file() + " step " + cannot.step() + " " + cannot.expected() + ": " + cannot.actual());
    }
    return new CaseRun(one.withSeries(series)).machineAfter();
  }

  /** Reads a file of either kind; what it gives compares it with the model. */
  private static Supplier<CaseResult> read(Path file, @Nullable Series series) {
    String text = CaseFiles.text(file);
    Fields top = Fields.of(file.toString(), JsonParser.parse(file.toString(), text), "a case file");
    if (top.text("schema").equals(Layout.SCHEMA)) {
      Layout layout = Layout.of(top);
      Layout model = ModelLayout.of(layout, series == null ? Series.profile("7.3") : series);
      return () -> LayoutComparer.compare(layout, model);
    }
    VmemmapCase one = CaseFiles.of(top);
    VmemmapCase at = series == null ? one : one.withSeries(series);
    return () -> replay(at);
  }

  /** Replays one case. */
  public static CaseResult replay(VmemmapCase one) {
    @Nullable Mismatch cannot = notSupported(one);
    if (cannot != null) {
      return new CaseResult(one.name(), 1, List.of(cannot));
    }
    return new CaseRun(one).run();
  }

  /** The first thing in the case that this version cannot do; null when it can do all of it. */
  private static @Nullable Mismatch notSupported(VmemmapCase one) {
    for (int i = 0; i < one.steps().size(); i++) {
      VmemmapCase.Step step = one.steps().get(i);
      for (int j = 0; j < step.operations().size(); j++) {
        VmemmapCase.Operation operation = step.operations().get(j);
        @Nullable String why = notSupported(operation);
        if (why != null) {
          return new Mismatch(
              i, step.label(), "do[" + j + "]", operation.op(), "not supported: " + why);
        }
      }
    }
    return null;
  }

  private static @Nullable String notSupported(VmemmapCase.Operation operation) {
    return switch (operation.args()) {
      case VmemmapCase.NotYet later -> "no operation of this version";
      default -> null;
    };
  }
}
