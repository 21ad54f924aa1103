// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.check.World;
import picocli.CommandLine.Option;

/** The option that says on which kinds of machines to look for bugs. */
final class WorldOption {
  @Option(
      names = "--world",
      paramLabel = "NAME,...",
      description = "Only these kinds of machines, as in x86-64-4,arm64-64K-52; or all.")
  @Nullable String world;

  /** The worlds that are asked for; empty when it was left out. */
  List<World> worlds() {
    return world == null ? List.of() : World.list(world);
  }

  /** The same; all when it was left out. */
  List<World> worldsOrAll() {
    return world == null ? World.all() : World.list(world);
  }
}
