"""xpnet's estimators for skl2onnx, which converts whole pipelines to ONNX."""

from typing import Any

import numpy as np

from xpnet.errors import InputError
from xpnet.estimators.classifier import MLPClassifier, MLPRegressor
from xpnet.interchange.onnx import Graph, add_classes, add_network


def register_skl2onnx() -> None:
    """Let `skl2onnx.to_onnx` convert `MLPClassifier` and `MLPRegressor`, alone or in a pipeline.

    As for scikit-learn's own, labels and probabilities come out, or values; options are ``zipmap``
    and ``nocl``. Networks compute in float32. Raises `InputError` without skl2onnx; converting
    raises it for an activation of your own.
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise InputError("pipelines as ONNX need skl2onnx: pip install skl2onnx") from error
    of_classes = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
    for kind, convert, options in (
        (MLPClassifier, _convert_classifier, of_classes),
        (MLPRegressor, _convert_regressor, None),
    ):
        name = f"Xpnet{kind.__name__}"
        update_registered_converter(kind, name, _add_shapes, convert, options=options)


def _add_shapes(operator: Any) -> None:
    """Tell skl2onnx the shapes of the outputs, for which it expects one label or value."""
    from skl2onnx.common import shape_calculator

    estimator = operator.raw_operator
    if isinstance(estimator, MLPClassifier):
        shape_calculator.calculate_linear_classifier_output_shapes(operator)
    else:
        shape_calculator.calculate_linear_regressor_output_shapes(operator)
    if not isinstance(estimator, MLPClassifier) or _is_multilabel(estimator):
        operator.outputs[0].type.shape = [None, estimator.n_outputs_]


def _is_multilabel(classifier: MLPClassifier) -> bool:
    return bool(classifier._label_binarizer.y_type_.startswith("multilabel"))


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common.utils_classifier import get_label_classes

    classifier, (label, probabilities) = operator.raw_operator, operator.outputs
    graph, outputs = _begun(scope, operator)
    if _is_multilabel(classifier):
        above = graph.add("Greater", outputs, np.float32(0.5))
        graph.add("Cast", above, to=graph.types.INT64, out=label.full_name)
    else:
        known = get_label_classes(scope, classifier)  # or their numbers, with the option nocl
        if known.dtype.kind not in "OUS":  # scikit-learn has whole numbers only, skl2onnx int64
            known = known.astype(np.int64)
        one = classifier.n_outputs_ == 1
        labels, outputs = add_classes(graph, outputs, known[[0, -1]] if one else known, one=one)
        graph.add("Identity", labels, out=label.full_name)
    _end(graph, outputs, probabilities, container)


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph, outputs = _begun(scope, operator)
    if (scaler := operator.raw_operator._target_scaler) is not None:
        values = graph.add("Mul", graph.add("Cast", outputs, to=graph.types.DOUBLE), scaler.scale_)
        outputs = graph.add("Add", values, scaler.mean_)
    _end(graph, outputs, operator.outputs[0], container)


def _begun(scope: Any, operator: Any) -> tuple[Graph, str]:
    """Add the nodes up to the network's outputs, float32 (n, outputs)."""
    graph, estimator = Graph(scope.get_unique_variable_name), operator.raw_operator
    x = operator.inputs[0].full_name
    if (scaler := estimator._scaler) is not None:
        centred = graph.add("Sub", graph.add("Cast", x, to=graph.types.DOUBLE), scaler.mean_)
        x = graph.add("Div", centred, scaler.scale_)
    x = graph.add("Cast", x, to=graph.types.FLOAT)
    return graph, graph.add("Mean", *(add_network(graph, x, net) for net in estimator.networks_))


def _end(graph: Graph, outputs: str, wanted: Any, container: Any) -> None:
    from onnx.helper import get_attribute_value
    from skl2onnx.common.data_types import guess_proto_type

    graph.add("Cast", outputs, to=guess_proto_type(wanted.type), out=wanted.full_name)
    container.initializers.extend(graph.constants)
    for node in graph.nodes:
        attributes = {each.name: get_attribute_value(each) for each in node.attribute}
        container.add_node(node.op_type, [*node.input], [*node.output], **attributes)
