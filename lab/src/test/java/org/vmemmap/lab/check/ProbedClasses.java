// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.Annotation;
import java.lang.classfile.AnnotationValue;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassModel;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeTransform;
import java.lang.classfile.MethodModel;
import java.lang.classfile.MethodTransform;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.classfile.instruction.ThrowInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.Map;
import java.util.regex.Pattern;
import org.vmemmap.types.Kernel;

/** The product once more, with {@link Probes} in each ported method. */
final class ProbedClasses extends ClassLoader {
  private static final String OURS = "org.vmemmap.";
  private static final Pattern PORTED =
      Pattern.compile("org\\.vmemmap\\.((pagealloc|sparse|hugetlb|dax|arch)\\..*|types\\.(IomemResource|Kstrtox))");
  private static final String TAG = Kernel.class.descriptorString();
  private static final ClassDesc PROBES = ClassDesc.of(Probes.class.getName());
  private static final ClassDesc INT = ConstantDescs.CD_int;
  private static final ClassDesc VOID = ConstantDescs.CD_void;

  private static final Map<TypeKind, ClassDesc> VALUES =
      Map.of(
          TypeKind.INT, INT,
          TypeKind.LONG, ConstantDescs.CD_long,
          TypeKind.REFERENCE, ConstantDescs.CD_Object);

  private final ClassFile classes;

  ProbedClasses() {
    super("probed", ProbedClasses.class.getClassLoader());
    ClassHierarchyResolver resolver = ClassHierarchyResolver.ofResourceParsing(getParent());
    this.classes = ClassFile.of(ClassFile.ClassHierarchyResolverOption.of(resolver));
  }

  @Override
  protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
    if (!name.startsWith(OURS)) {
      return super.loadClass(name, resolve);
    }
    synchronized (getClassLoadingLock(name)) {
      Class<?> loaded = findLoadedClass(name);
      return loaded == null ? define(name) : loaded;
    }
  }

  private Class<?> define(String name) throws ClassNotFoundException {
    try (InputStream in = getResourceAsStream(name.replace('.', '/') + ".class")) {
      if (in == null) {
        throw new ClassNotFoundException(name);
      }
      byte[] bytes = in.readAllBytes();
      byte[] probed = PORTED.matcher(name).matches() ? probed(bytes) : bytes;
      return defineClass(name, probed, 0, probed.length);
    } catch (IOException e) {
      throw new ClassNotFoundException(name, e);
    }
  }

  private byte[] probed(byte[] bytes) {
    ClassModel model = classes.parse(bytes);
    String internal = model.thisClass().asInternalName();
    String type = internal.substring(Math.max(internal.lastIndexOf('/'), internal.lastIndexOf('$')) + 1);
    return classes.transformClass(
        model,
        (builder, element) -> {
          if (element instanceof MethodModel method && method.code().isPresent() && probes(method)) {
            String name = type + "." + method.methodName().stringValue();
            builder.transformMethod(
                method,
                MethodTransform.transformingCode(
                    probe(name, symbol(method), answers(method))));
          } else {
            builder.with(element);
          }
        });
  }

  private static boolean probes(MethodModel method) {
    String name = method.methodName().stringValue();
    return !name.startsWith("<") && !name.startsWith("lambda$");
  }

  /** File and kernel function of its tag; empty without. */
  static String symbol(MethodModel method) {
    return method
        .findAttribute(Attributes.runtimeVisibleAnnotations())
        .map(
            tags ->
                tags.annotations().stream()
                    .filter(tag -> tag.className().stringValue().equals(TAG))
                    .map(tag -> value(tag, "file") + " " + value(tag, "symbol"))
                    .findFirst()
                    .orElse(""))
        .orElse("");
  }

  private static String value(Annotation tag, String name) {
    return tag.elements().stream()
        .filter(element -> element.name().stringValue().equals(name))
        .map(element -> ((AnnotationValue.OfString) element.value()).stringValue())
        .findFirst()
        .orElse("");
  }

  private static boolean answers(MethodModel method) {
    return method.methodTypeSymbol().returnType().equals(ConstantDescs.CD_boolean);
  }

  private static CodeTransform probe(String name, String symbol, boolean answers) {
    return CodeTransform.ofStateful(() -> new Probing(name, symbol, answers));
  }

  /** Goes through the code of one method. */
  private static final class Probing implements CodeTransform {
    private final String name;
    private final String symbol;
    private final boolean answers;
    private int line;

    Probing(String name, String symbol, boolean answers) {
      this.name = name;
      this.symbol = symbol;
      this.answers = answers;
    }

    @Override
    public void atStart(CodeBuilder code) {
      code.loadConstant(name).loadConstant(symbol);
      call(code, "enter", ConstantDescs.CD_String, ConstantDescs.CD_String);
    }

    @Override
    public void accept(CodeBuilder code, CodeElement element) {
      if (element instanceof LineNumber number) {
        line = number.line();
      } else if (element instanceof ReturnInstruction leaves) {
        ClassDesc value = VALUES.get(leaves.typeKind());
        if (value == null) {
          call(code, "leave");
        } else {
          copy(code, leaves.typeKind());
          code.loadConstant(line);
          call(code, "leave", answers ? ConstantDescs.CD_boolean : value, INT);
        }
      } else if (element instanceof ThrowInstruction) {
        code.dup().loadConstant(line);
        call(code, "thrown", ConstantDescs.CD_Throwable, INT);
      }
      code.with(element);
    }

    private static void copy(CodeBuilder code, TypeKind kind) {
      if (kind == TypeKind.LONG) {
        code.dup2();
      } else {
        code.dup();
      }
    }

    private static void call(CodeBuilder code, String probe, ClassDesc... arguments) {
      code.invokestatic(PROBES, probe, MethodTypeDesc.of(VOID, arguments));
    }
  }
}
