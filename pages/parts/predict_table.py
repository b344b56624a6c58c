"""What a model says of many films: a table to look through, to sort and to take away."""

import pandas as pd
import streamlit as st

from pages.parts.frame import class_badge, class_name
from pneumo.inference.batch import Answer

NOT_READ, OUTSIDE, UNSURE = "Not read", "Out of scope", "Unsure"


def show_many(answers: list[Answer]) -> Answer:
    """All files as a table: those not read, then the most suspicious. Returns the one to show."""
    order = sorted(
        answers, key=lambda it: -it.prediction.probability if it.prediction is not None else -2.0
    )
    table = pd.DataFrame([_row(it) for it in order])
    verdicts = table["Verdict"].value_counts()
    unread = int(verdicts.get(NOT_READ, 0))
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.markdown(
            f"**{len(table)} films**: {class_badge('PNEUMONIA')} {verdicts.get('Pneumonia', 0)} "
            f"{class_badge('NORMAL')} {verdicts.get('Normal', 0)}"
            + "".join(
                f" :gray-badge[{verdict}] {verdicts[verdict]}"
                for verdict in (UNSURE, OUTSIDE, NOT_READ)
                if verdict in verdicts
            )
        )
        st.download_button(
            "Download as CSV",
            table.to_csv(index=False),
            "pneumo-predictions.csv",
            mime="text/csv",
            icon=":material/download:",
        )
    event = st.dataframe(
        table,
        hide_index=True,
        key="table",
        on_select="rerun",
        selection_mode="single-row-required",
        # The first that can be shown.
        selection_default={"selection": {"rows": [unread if unread < len(table) else 0]}},
        height=min(38 + 35 * len(table), 300),
        column_order=("File", "Verdict", "Probability", "Remarks"),
        column_config={
            "File": st.column_config.TextColumn(width="medium"),
            "Probability": st.column_config.ProgressColumn(
                "Probability of pneumonia", min_value=0, max_value=1, format="percent"
            ),
        },
    )
    # A row that was selected in a longer table may be gone.
    return order[min(event["selection"]["rows"][0], len(order) - 1)]


def _row(answer: Answer) -> dict[str, object]:
    prediction = answer.prediction
    if prediction is None:
        return {"File": answer.question.name, "Verdict": NOT_READ, "Remarks": answer.error}
    leaning = class_name(prediction.verdict)
    remarks = [*prediction.scope, *prediction.flags]
    if prediction.unsure:
        remarks.insert(0, f"Leans to {leaning.lower()}.")
    return {
        "File": answer.question.name,
        "Verdict": OUTSIDE if prediction.scope else UNSURE if prediction.unsure else leaning,
        "Class": leaning,
        "Probability": prediction.probability,
        "Threshold": prediction.threshold,
        "Prevalence": prediction.prevalence,
        "Remarks": " ".join(remarks),
    }
